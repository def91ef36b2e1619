"""Writing a proposal without ever writing over anybody's work.

The first run writes `district.yaml` and `crosswalks/<name>.csv`. Where one of them is there already, it stays as it
is, byte for byte, and the new proposal goes beside it: `district.proposed.yaml`, `crosswalks.proposed/<name>.csv`
(only the codes that no file of the district names). A proposal carries a mark of its own text, so that one that
somebody has edited is kept, too, and the next gets a number.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.proposal.proposal import Proposal
from pipelines.yaml_document import read

_MARK = "# equity init "


@dataclass(frozen=True)
class Written:
    """Files that were written, that were left as they are, and what is new beside an older district.yaml."""

    written: tuple[Path, ...]
    kept: tuple[Path, ...]
    news: tuple[str, ...]


def keep(proposal: Proposal, out: Path) -> Written:
    """Write the proposal into the folder `out`, which is made if need be."""
    out.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    kept: list[Path] = []
    news: list[str] = []
    district = out / "district.yaml"
    text = proposal.district_yaml(out)
    if not district.exists():
        _write_new(district, text)
        written.append(district)
    else:
        kept.append(district)
        # A proposal that stands there already was told when it was made: what became of it is settled.
        if (path := _write_beside(out / "district.proposed.yaml", text)) is not None:
            news = list(_news(district, proposal, out))
            written.append(path)
    own = _own_codes(out / "crosswalks")
    for name, content in proposal.crosswalk_files().items():
        path = out / "crosswalks" / f"{name}.csv"
        if not path.exists() and not any(crosswalk == name for crosswalk, _ in own):
            path.parent.mkdir(exist_ok=True)
            _write_new(path, content)
            written.append(path)
    for name, content in proposal.crosswalk_files(own).items():
        path = out / "crosswalks" / f"{name}.csv"
        if path in written:
            continue
        kept += [path] if path.exists() else []
        beside = out / "crosswalks.proposed" / f"{name}.csv"
        beside.parent.mkdir(exist_ok=True)
        if (other := _write_beside(beside, content, mark=False)) is not None:
            count = len(content.splitlines()) - 1
            news.append(f"{name}: {count} code{'s' if count > 1 else ''} that no crosswalk file names yet")
            written.append(other)
    return Written(tuple(written), tuple(dict.fromkeys(kept)), tuple(news))


def _write_new(path: Path, text: str) -> None:
    """Create a file; one that came into being meanwhile is not written over."""
    with path.open("x", encoding="utf-8", newline="") as file:
        file.write(text)


def _write_beside(path: Path, text: str, *, mark: bool = True) -> Path | None:
    """Write under this name, or under it with a number where somebody edited an older one; None if it stands there."""
    content = _marked(text) if mark else text
    number = 1
    target = path
    while target.exists():
        there = target.read_text(encoding="utf-8", errors="replace")
        if there == content:
            return None
        if mark and _is_untouched(there):
            target.unlink()
            break
        number += 1
        target = path.with_name(f"{path.name.removesuffix(path.suffix)}-{number}{path.suffix}")
    _write_new(target, content)
    return target


def _marked(text: str) -> str:
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return f"{_MARK}{digest}: replaced by the next proposal unless you edit it\n{text}"


def _is_untouched(content: str) -> bool:
    first, _, text = content.partition("\n")
    return first.startswith(_MARK) and _marked(text) == content


def _own_codes(folder: Path) -> frozenset[tuple[str, str]]:
    """(crosswalk, code in lower case) of every row of the district's own files that can be read."""
    found: set[tuple[str, str]] = set()
    for path in sorted(folder.glob("*.csv")):
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError):
            continue
        for row in csv.DictReader(io.StringIO(text)):
            cells = {str(key).strip().lower(): str(value or "").strip() for key, value in row.items()}
            found.add((cells.get("crosswalk", "").lower(), cells.get("code", "").lower()))
    return frozenset(found)


def _news(district: Path, proposal: Proposal, out: Path) -> Iterable[str]:
    """What the extracts hold now that the district's own file does not speak of."""
    data = read(district).data or {}
    theirs = data.get("sources")
    sources: dict[str, Any] = theirs if isinstance(theirs, dict) else {}
    read_already: dict[Path, dict[str, Any]] = {}
    for source in sources.values():
        if isinstance(source, dict):
            for path in _files(source.get("files"), out):
                read_already[path] = source
    for proposed in proposal.sources:
        paths = {path.resolve() for path in proposed.extract.paths}
        owners = [read_already[path] for path in paths if path in read_already]
        if not owners:
            fed = ", ".join(entity.entity for entity in proposed.entities)
            yield f"{proposed.name}: no source reads {proposed.extract.files[0]} yet; it could feed {fed}"
            continue
        fed_already = {name for owner in owners for name in (owner.get("entities") or {})}
        more = [one.entity for one in proposed.entities if one.entity not in fed_already]
        if more:
            yield f"{proposed.name}: it could also feed {', '.join(more)}"
        names = {name.lower() for name in proposed.extract.table.columns}
        gone = sorted({name for owner in owners for name in _mapped(owner) if name.lower() not in names})
        if gone and not any(one.unpivot for one in proposed.entities):
            yield f"{proposed.name}: {district.name} names columns that are gone: {', '.join(gone)}"
    told = district.read_text(encoding="utf-8", errors="replace")
    for left in proposal.left_out:
        if left.file not in told:
            yield f"{left.file} feeds nothing: {left.reason}"


def _files(patterns: object, out: Path) -> Iterable[Path]:
    listed = [patterns] if isinstance(patterns, str) else patterns if isinstance(patterns, list) else []
    for pattern in listed:
        whole = out / str(pattern)
        if whole.is_dir():
            yield from (path.resolve() for path in whole.iterdir())
        elif whole.exists():
            yield whole.resolve()
        else:
            base = out.resolve()
            parts = [part for part in Path(str(pattern)).parts if part != "."]
            while parts and parts[0] == "..":
                base, parts = base.parent, parts[1:]
            if parts and not Path(parts[0]).is_absolute():
                yield from (path.resolve() for path in base.glob("/".join(parts)))


def _mapped(source: dict[str, Any]) -> Iterable[str]:
    for entity in (source.get("entities") or {}).values():
        if isinstance(entity, dict) and not entity.get("unpivot"):
            for target in (entity.get("columns") or {}).values():
                if isinstance(target, str):
                    yield target
                elif isinstance(target, dict) and isinstance(target.get("column"), str):
                    yield target["column"]
