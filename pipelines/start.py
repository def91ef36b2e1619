"""Begin a night: settings, crosswalks, home and clock, everything that must be right before anything is read."""

from __future__ import annotations

import os
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from pipelines import crosswalks
from pipelines.code_version import ROOT
from pipelines.config import DistrictFile
from pipelines.district_file import ConfigurationProblems, load
from pipelines.home import Home
from pipelines.ids import AS_WRITTEN
from pipelines.keys import KeyFile, KeyProblem
from pipelines.night import Night
from pipelines.outcome import ConfigurationError
from pipelines.progress import Progress

#: Where `make run` keeps its sample district and that district's home; the only home inside a checkout.
SAMPLE_HOME = ROOT / ".equity"
SAMPLE_DISTRICT = SAMPLE_HOME / "sample" / "district.yaml"


def begin(
    district_file: Path,
    home: Path | None,
    as_of: date | None,
    *,
    full: bool = False,
    progress: Progress | None = None,
) -> Night:
    """A night that may land. Raises ConfigurationError with every problem found; nothing has been read then."""
    district, codes = configuration(district_file)
    opened = open_home(district, home)
    try:
        key = KeyFile.load_or_create(opened)
    except KeyProblem as problem:
        raise ConfigurationError(str(problem), getattr(problem, "remedy", "")) from None
    progress = progress or Progress()
    if key.notice:
        progress.note(key.notice)
    return Night(
        district=district,
        crosswalks=codes,
        home=opened,
        as_of=as_of or today_in(district),
        progress=progress,
        full=full,
    )


def today_in(district: DistrictFile) -> date:
    """The date where the district is: in the evening its own day, and not already that of UTC."""
    return datetime.now(ZoneInfo(district.settings.district.time_zone)).date()


def configuration(district_file: Path) -> tuple[DistrictFile, crosswalks.Crosswalks]:
    """The district's settings and code tables. Raises ConfigurationError listing every problem of both."""
    problems: list[str] = []
    district: DistrictFile | None = None
    try:
        district = load(district_file)
    except ConfigurationProblems as found:
        problems += [str(problem) for problem in found.problems]
    codes = crosswalks.load(district_file.parent, district.settings.district.school_ids if district else AS_WRITTEN)
    problems += [str(problem) for problem in codes.problems]
    if problems or district is None:
        counted = f"{len(problems)} problem{'s' if len(problems) != 1 else ''}"
        raise ConfigurationError(
            f"The configuration has {counted}. Nothing was read.\n" + "\n".join(problems),
            "Correct the lines named above; `equity check` looks again without publishing.",
        )
    return district, codes


def home_path(district: DistrictFile, named: Path | None) -> Path:
    """Where the district's data live: --home, else EQUITY_HOME, else `home:` in district.yaml, else the sample's.

    Raises ConfigurationError when a real district names none, or one inside a git checkout.
    """
    written = named or (Path(os.environ["EQUITY_HOME"]) if os.environ.get("EQUITY_HOME") else None)
    if written is None and district.settings.home:
        written = district.folder / district.settings.home
    if district.path.resolve() == SAMPLE_DISTRICT.resolve():
        return (written or SAMPLE_HOME).resolve()
    if written is None:
        raise ConfigurationError(
            "This district has no home: nothing says where its data may lie.",
            "Set EQUITY_HOME, pass --home, or write `home:` in district.yaml: a folder outside any git checkout.",
        )
    home = written.resolve()
    checkout = next((folder for folder in [home, *home.parents] if (folder / ".git").exists()), None)
    if checkout is not None:
        raise ConfigurationError(
            f"The home {home} lies inside the git checkout {checkout}, from where student data could be pushed.",
            "Choose a folder outside any git checkout.",
        )
    return home


def open_home(district: DistrictFile, named: Path | None) -> Home:
    path = home_path(district, named)
    try:
        return Home.open(path)
    except OSError as problem:
        raise ConfigurationError(
            f"The home {path} cannot be used: {problem.strerror}.", "Choose a folder that this user can write."
        ) from None
