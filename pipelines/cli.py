"""The `equity` command."""

from __future__ import annotations

import os
import sys
import traceback
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click
from rich.console import Console

from pipelines.home import AnotherRunInProgress, Home
from pipelines.outcome import ConfigurationError, ExitCode, NightError

if TYPE_CHECKING:
    from pipelines.config import Settings

_DISTRICT = click.option(
    "--district",
    "district_file",
    type=click.Path(path_type=Path),
    default=lambda: os.environ.get("EQUITY_DISTRICT"),
    help="The district's district.yaml. Default: EQUITY_DISTRICT, else the sample's.",
)
_HOME = click.option("--home", type=click.Path(path_type=Path), help="Where the district's data live (EQUITY_HOME).")


def _day(_: click.Context, __: click.Parameter, value: str | None) -> date | None:
    if value is None:
        return None
    try:
        return datetime.strptime(value, "%Y-%m-%d").date()
    except ValueError:
        raise click.BadParameter("write the day as 2026-03-27") from None


def _faults(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        from pipelines.sample_district import FAULTS

        for name, effect in FAULTS.items():
            click.echo(f"{name:<26} {effect}")
        context.exit()


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def equity() -> None:
    """Extracts in, an audited and privacy-safe equity warehouse out."""


@equity.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Where district.yaml and crosswalks/ are written. Default: the current folder.",
)
def init(folder: Path, out: Path) -> None:
    """Propose a district.yaml and crosswalk files for a folder of unknown extracts."""
    from pipelines.proposal.keep import keep
    from pipelines.proposal.proposal import proposal
    from pipelines.proposal.report import show as show_proposal

    if not folder.is_dir():
        raise ConfigurationError(f"{folder} is not a folder.", "Name the folder that the extracts lie in.")
    console = _out()
    with console.status("Looking at the files") as status:
        made = proposal(folder, say=status.update)
    try:
        written = keep(made, out)
    except OSError as problem:
        raise ConfigurationError(f"{out} cannot be written: {problem.strerror}.", "Choose another --out.") from None
    show_proposal(made, written, console)


@equity.command()
@_DISTRICT
@_HOME
@click.option("--as-of", callback=_day, help="The day whose knowledge counts. Default: today in the district's zone.")
@click.option("--full", is_flag=True, help="Compute and publish again even when nothing is new.")
def run(district_file: Path | None, home: Path | None, as_of: date | None, full: bool) -> None:
    """Run the nightly job: land, build, judge, publish."""
    from pipelines.run import run_night
    from pipelines.start import begin
    from pipelines.summary import show

    chosen = _chosen(district_file)
    night = begin(chosen, home, as_of, full=full)
    with night.home.lock():
        code = run_night(night)
        show(night, _out(), chosen, home)
    sys.exit(code)


@equity.command()
@_DISTRICT
@click.option("--source", help="Only this source.")
@click.option("--as-of", callback=_day, help="The day whose knowledge counts. Default: today in the district's zone.")
@click.option("--codes", "all_codes", is_flag=True, help="List every code, not only unmapped and frequent ones.")
def check(district_file: Path | None, source: str | None, as_of: date | None, all_codes: bool) -> None:
    """Read, map and judge the input; publish nothing, keep nothing."""
    from pipelines.check import check as check_input
    from pipelines.start import configuration, today_in

    district, codes = configuration(_chosen(district_file))
    if source is not None and source not in district.settings.sources:
        known = ", ".join(district.settings.sources)
        raise ConfigurationError(f"No source is called {source}.", f"There are: {known}.")
    readable = check_input(district, codes, source, as_of or today_in(district), _out(), all_codes=all_codes)
    if not readable:
        _out().print("\nSome sources could not be read; the others would run without them.")


@equity.command()
@click.option("--students", type=int, required=True, help="Students enrolled on any day, 200 to 1,000,000.")
@click.option("--years", type=int, default=1, show_default=True, help="School years up to the one that holds --end.")
@click.option("--seed", type=int, default=1, show_default=True, help="Another seed, another district.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="An empty folder, or an older sample.")
@click.option("--end", callback=_day, help="Last day with data. Default: 2026-03-27.")
@click.option("--plant", multiple=True, metavar="FAULT", help="A fault to plant; may be repeated. See --faults.")
@click.option("--faults", is_flag=True, is_eager=True, expose_value=False, callback=_faults, help="List the faults.")
def sample(students: int, years: int, seed: int, out: Path, end: date | None, plant: tuple[str, ...]) -> None:
    """Write a synthetic district with gaps planted on purpose, and what was planted to truth.json."""
    from pipelines.sample_district import generate

    try:
        made = generate(students, years, seed, out, end, plant=plant)
    except ValueError as problem:
        raise ConfigurationError(str(problem)) from None
    _out().print(
        f"{made.district_file}: {made.students:,} students, {made.schools} schools, "
        f"{made.attendance_rows:,} attendance rows, data to {made.as_of}",
        soft_wrap=True,
    )


@equity.command()
@_DISTRICT
@_HOME
@click.option("--json", "as_json", is_flag=True, help="The status file as it is.")
def status(district_file: Path | None, home: Path | None, as_json: bool) -> None:
    """What is published, how fresh it is, and how the last night ended."""
    from pipelines.status import show_status

    show_status(_opened(district_file, home), as_json, _out())


@equity.command()
@_DISTRICT
@_HOME
def snapshots(district_file: Path | None, home: Path | None) -> None:
    """All snapshots, newest last; the current one is marked."""
    from pipelines.status import show_snapshots

    show_snapshots(_opened(district_file, home), _out())


@equity.command()
@_DISTRICT
@_HOME
@click.argument("snapshot_id", required=False)
def rollback(district_file: Path | None, home: Path | None, snapshot_id: str | None) -> None:
    """Point readers at an older snapshot (default: the one before), after auditing it again."""
    from pipelines.status import roll_back

    roll_back(_opened(district_file, home), snapshot_id, _out())


@equity.command()
@_DISTRICT
@_HOME
@click.argument("snapshot_id")
def withdraw(district_file: Path | None, home: Path | None, snapshot_id: str) -> None:
    """Take one snapshot away, from both zones."""
    from pipelines.status import take_away

    take_away(_opened(district_file, home), snapshot_id, _out())


@equity.command()
@_DISTRICT
@_HOME
@click.argument("snapshot_id", required=False)
def verify(district_file: Path | None, home: Path | None, snapshot_id: str | None) -> None:
    """Recompute every checksum and count of a snapshot (default: the current one)."""
    from pipelines.status import show_verification

    sys.exit(show_verification(_opened(district_file, home), snapshot_id, _out()))


@equity.command()
@_DISTRICT
@_HOME
@click.argument("indicator")
@click.option("--organization", help="A school's id. Default: the district.")
@click.option("--group", default="all", show_default=True, help="A student_group_id, as race_ethnicity:black.")
@click.option("--year", type=int, help="The year in which the school year ends. Default: the newest.")
@click.option("--restricted", is_flag=True, help="Add counts, verdicts and files, which are not for release.")
def explain(
    district_file: Path | None,
    home: Path | None,
    indicator: str,
    organization: str | None,
    group: str,
    year: int | None,
    restricted: bool,
) -> None:
    """From a published number back to its definition, checks and source files."""
    from pipelines.explain import Question
    from pipelines.explain import explain as explain_figure

    question = Question(indicator, organization, group, year)
    explain_figure(_opened(district_file, home), question, restricted, _out())


@equity.command()
@_DISTRICT
@_HOME
@click.option("--source", help="Only this source.")
@click.option("--reason", help="Only this reason code.")
@click.option("--text", is_flag=True, help="Show the refused lines themselves, from landing/, on this screen only.")
@click.option("--export", type=click.Path(path_type=Path), help="Write all rows to this CSV file; text with --text.")
def quarantine(
    district_file: Path | None,
    home: Path | None,
    source: str | None,
    reason: str | None,
    text: bool,
    export: Path | None,
) -> None:
    """Refused rows, by cause."""
    from pipelines.quarantine import Wanted, export_quarantine, show_quarantine

    opened, wanted = _opened(district_file, home), Wanted(source, reason)
    if export is None:
        show_quarantine(opened, wanted, text, _out())
    else:
        export_quarantine(opened, wanted, text, export, _out())


@equity.group()
def key() -> None:
    """The key that turns ids into pseudonyms."""


@key.command()
@_DISTRICT
@_HOME
def show(district_file: Path | None, home: Path | None) -> None:
    """Where the key lies, and its fingerprint; never the key."""
    from pipelines.key_rotation import show_key

    show_key(_opened(district_file, home), _out())


@key.command()
@_DISTRICT
@_HOME
def rotate(district_file: Path | None, home: Path | None) -> None:
    """Make a new key and keep history joined: the next run reads everything again from landing/."""
    from pipelines.key_rotation import rotate_and_tell

    settings, opened = _settings_and_home(district_file, home)
    rotate_and_tell(opened, settings.sources, _out())


@equity.command()
@_DISTRICT
@_HOME
@click.option("--port", type=int, default=3000, show_default=True)
def dev(district_file: Path | None, home: Path | None, port: int) -> None:
    """Dagster's UI and daemon on loopback, with the nightly schedule of this district."""
    from pipelines.code_version import ROOT
    from pipelines.run import dagster_home

    opened = _opened(district_file, home)
    dagster = str(Path(sys.executable).with_name("dagster"))
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(dagster_home(opened)),
        "EQUITY_DISTRICT": str(_chosen(district_file).resolve()),
        "EQUITY_HOME": str(opened.root),
    }
    workspace = str(ROOT / "workspace.yaml")
    command = [dagster, "dev", "--workspace", workspace, "--host", "127.0.0.1", "--port", str(port)]
    os.execve(dagster, command, environment)


def _opened(district_file: Path | None, home: Path | None) -> Home:
    return _settings_and_home(district_file, home)[1]


def _settings_and_home(district_file: Path | None, home: Path | None) -> tuple[Settings, Home]:
    from pipelines.district_file import ConfigurationProblems, load
    from pipelines.start import open_home

    try:
        district = load(_chosen(district_file))
        return district.settings, open_home(district, home)
    except ConfigurationProblems as found:
        raise ConfigurationError("\n".join(map(str, found.problems)), "Correct the lines named above.") from None


def _chosen(district_file: Path | None) -> Path:
    from pipelines.start import SAMPLE_DISTRICT

    return Path(district_file) if district_file else SAMPLE_DISTRICT


def _out() -> Console:
    # Not a terminal, that is a log or a file: room for the widest table.
    return Console(highlight=False, width=None if sys.stdout.isatty() else 120)


def main() -> None:
    """Entry point: every way to end has its exit code, and none shows a traceback."""
    problems = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        equity.main(standalone_mode=False)
    except click.exceptions.Exit as ended:
        sys.exit(ended.exit_code)
    except click.ClickException as wrong:
        wrong.show()
        sys.exit(ExitCode.CONFIGURATION)
    except click.Abort:
        problems.print("Interrupted. Yesterday's snapshot is untouched.")
        sys.exit(ExitCode.INTERNAL_ERROR)
    except AnotherRunInProgress:
        problems.print("Another run of this district is in progress. Nothing was done.")
        sys.exit(ExitCode.ANOTHER_RUN)
    except Exception as problem:  # a traceback may quote a cell: the kind and the place are enough to report
        _end(problem, problems)


def _end(problem: Exception, problems: Console) -> NoReturn:
    """Print how a command failed and leave with its exit code."""
    if isinstance(problem, NightError):
        problems.print(problem.headline, markup=False)
        if problem.remedy:
            problems.print(problem.remedy, markup=False)
        sys.exit(problem.code)
    frames = [frame for frame in traceback.extract_tb(problem.__traceback__) if "pipelines" in frame.filename]
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "outside this project"
    problems.print(f"Internal error: {type(problem).__name__} at {place}. Please report this line.", markup=False)
    sys.exit(ExitCode.INTERNAL_ERROR)


if __name__ == "__main__":
    main()
