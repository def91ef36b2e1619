"""The `equity` command."""

from __future__ import annotations

import os
import sys
from datetime import date, datetime
from pathlib import Path


import click
from rich.console import Console

from pipelines.outcome import ExitCode, NightError

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
        return datetime.strptime(value, "%Y-%m-%d").date()  # noqa: DTZ007 - a calendar day has no zone
    except ValueError:
        raise click.BadParameter("write the day as 2026-03-27") from None


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def equity() -> None:
    """Extracts in, an audited and privacy-safe equity warehouse out."""


@equity.command()
@_DISTRICT
@_HOME
@click.option("--as-of", callback=_day, help="The day whose knowledge counts. Default: today in the district's zone.")
@click.option("--full", is_flag=True, help="Compute and publish again even when nothing is new.")
def run(district_file: Path | None, home: Path | None, as_of: date | None, full: bool) -> None:
    """Run the nightly job: land, build, judge, publish."""
    from pipelines.run import run_night  # noqa: PLC0415
    from pipelines.start import begin  # noqa: PLC0415
    from pipelines.summary import show  # noqa: PLC0415

    chosen = _chosen(district_file)
    night = begin(chosen, home, as_of, full=full)
    with night.home.lock():
        code = run_night(night)
        show(night, _out(), chosen)
    sys.exit(code)


def _chosen(district_file: Path | None) -> Path:
    from pipelines.start import SAMPLE_DISTRICT  # noqa: PLC0415

    return Path(district_file) if district_file else SAMPLE_DISTRICT


def _out() -> Console:
    return Console(highlight=False)


def main() -> None:
    """Entry point: every way to end has its exit code, and none shows a traceback."""
    from pipelines.home import AnotherRunInProgress  # noqa: PLC0415

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
    except NightError as problem:
        problems.print(problem.headline, markup=False)
        if problem.remedy:
            problems.print(problem.remedy, markup=False)
        sys.exit(problem.code)




if __name__ == "__main__":
    main()
