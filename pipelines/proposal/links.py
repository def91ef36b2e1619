"""Which files speak of the same students and schools, told by the ids that they share.

Values are compared, never kept: what comes out are column names and shares.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipelines.proposal.columns import Choice, id_candidates, is_other_id
from pipelines.proposal.extracts import Extract
from pipelines.proposal.names import meanings, normal, words
from pipelines.proposal.profile import Profile

#: Share of the smaller column's values that the larger holds too, from which both are ids of one system.
_SHARED = 0.3
#: A column that nothing in its name makes an id must share this much, and more than this many values.
_SHARED_BY_CONTENT, _FEW = 0.6, 4
#: Rows of a file from which an id that no list knows can be a student's, and the share that others must repeat.
_LEAST_STUDENTS, _ALL_BUT_SOME = 20, 0.9
_ROW_IDS = frozenset({"id", "sourcedid", "refid", "identifier", "key", "code", "number", "localid"})


@dataclass
class Links:
    """What is settled about ids before columns are chosen.

    ids: extract -> contract column -> choice. systems: extract -> the system whose student ids it holds, '' for the
    district's own. bridges: extract -> (system, the column that holds that system's ids beside the district's own).
    strip_zeros: ids agree only once leading zeros are gone. alone: extracts whose ids join no other file's.
    """

    ids: dict[str, dict[str, Choice]] = field(default_factory=dict)
    systems: dict[str, str] = field(default_factory=dict)
    bridges: dict[str, tuple[str, Choice]] = field(default_factory=dict)
    strip_zeros: bool = False
    alone: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class _Candidate:
    extract: Extract
    profile: Profile
    score: float
    reason: str

    @property
    def key(self) -> tuple[str, str]:
        return self.extract.name, self.profile.name


def links(found: Sequence[Extract]) -> Links:
    """Choose each extract's student id and school id."""
    result = Links(ids={extract.name: {} for extract in found})
    mapped = [extract for extract in found if extract.table.kind != "edfi_xml"]
    _students(mapped, result)
    _schools(mapped, result)
    return result


def _students(found: Sequence[Extract], result: Links) -> None:
    candidates = [
        _Candidate(extract, *candidate) for extract in found for candidate in id_candidates(extract, "student_id")
    ]
    candidates += _by_content(found, candidates)
    candidates += _shared_ids(found, candidates)
    pools = _pools(candidates, result)
    own = _district_pool(pools)
    own_by_extract = {one.extract.name: one for one in sorted(own, key=lambda one: one.score)}
    names = _system_names(pools, own_by_extract)
    for extract in found:
        mine = sorted((one for one in candidates if one.extract.name == extract.name), key=lambda one: -one.score)
        if not mine:
            continue
        chosen = own_by_extract.get(extract.name)
        if chosen is None:
            best = mine[0]
            pool = next(pool for pool in pools if best in pool)
            # Another pool is another system only when some file holds both ids and so can join them.
            system = names.get(id(pool), "")
            result.systems[extract.name] = system
            if not system and len(found) > 1 and own:
                result.alone.add(extract.name)
            chosen = best
        shared = sum(one.extract.name != extract.name for one in next(pool for pool in pools if chosen in pool))
        reason = chosen.reason
        score = chosen.score
        if shared:
            reason += f"; its values are ids in {shared} other file{'s' if shared > 1 else ''}"
            score = max(score, 0.7)
        elif extract.name in result.alone:
            score = min(score, 0.6)
            reason += "; but its ids are those of no other file"
        result.ids[extract.name]["student_id"] = Choice(chosen.profile.name, score, reason)
    for pool in pools:
        system = names.get(id(pool), "")
        if system and any(other.extract.name not in own_by_extract for other in pool):
            bridge = max((one for one in pool if one.extract.name in own_by_extract), key=_size)
            reason = f"its values are the student ids of {system}, beside the district's own"
            result.bridges[bridge.extract.name] = (system, Choice(bridge.profile.name, 0.8, reason))


def _size(candidate: _Candidate) -> int:
    return len(candidate.profile.values)


def _by_content(found: Sequence[Extract], known: Sequence[_Candidate]) -> list[_Candidate]:
    """Columns called id, or by no known name, whose values are student ids of another file."""
    have = {one.extract.name for one in known if one.score >= 0.5}
    made = []
    for extract in found:
        if extract.name in have:
            continue
        for profile in extract.profiles:
            if normal(profile.name) not in _ROW_IDS or profile.is_date or profile.is_flag:
                continue
            others = [one for one in known if one.extract is not extract and one.score >= 0.5]
            best = max(others, key=lambda one: profile.overlap(one.profile), default=None)
            if best is None or len(profile.folded & best.profile.folded) <= _FEW:
                continue
            if max(profile.overlap(best.profile), best.profile.overlap(profile)) >= _SHARED_BY_CONTENT:
                reason = f"its values are those of {best.profile.name} in {best.extract.name}"
                made.append(_Candidate(extract, profile, 0.75, reason))
    return made


def _shared_ids(found: Sequence[Extract], known: Sequence[_Candidate]) -> list[_Candidate]:
    """Columns called number or id that no list knows, one a row in one file and there again in others.

    Only where no file names a student id: then an id of one file's rows that other files repeat is the likeliest.
    """
    if any(one.score >= 0.5 for one in known):
        return []
    ids = [_Candidate(extract, one, 0.6, "") for extract in found for one in extract.profiles if _is_called_id(one)]
    made: dict[tuple[str, str], _Candidate] = {}
    for roster in ids:
        if not roster.profile.is_unique or len(roster.profile.values) < _LEAST_STUDENTS:
            continue
        others = [
            one
            for one in ids
            if one.extract is not roster.extract and len(one.profile.values) > _FEW
            if one.profile.overlap(roster.profile) >= _ALL_BUT_SOME
        ]
        if others:
            reason = f"different in every row of {roster.extract.name}, and there again in other files"
            for one in (roster, *others):
                made.setdefault(one.key, _Candidate(one.extract, one.profile, 0.6, reason))
    return list(made.values())


def _is_called_id(profile: Profile) -> bool:
    """A column that is called an id or number of nothing in particular."""
    if profile.is_date or profile.is_flag or profile.kept_out is not None or profile.blank > 0.5:
        return False
    parts = set(words(profile.name))
    return bool(parts & {"id", "number", "no", "num", "key"}) and not meanings(profile.name)


def _pools(candidates: Sequence[_Candidate], result: Links) -> list[list[_Candidate]]:
    """Candidates that share values, together: each pool is one system's ids."""
    parent = {one.key: one.key for one in candidates}

    def root(key: tuple[str, str]) -> tuple[str, str]:
        while parent[key] != key:
            key = parent[key]
        return key

    for at, one in enumerate(candidates):
        for other in candidates[at + 1 :]:
            if one.extract.name == other.extract.name:
                continue
            shared = max(one.profile.overlap(other.profile), other.profile.overlap(one.profile))
            if shared < _SHARED and _overlap_without_zeros(one.profile, other.profile) >= 0.8:
                result.strip_zeros = True
                shared = 1.0
            if shared >= _SHARED:
                parent[root(one.key)] = root(other.key)
    pools: dict[tuple[str, str], list[_Candidate]] = {}
    for one in candidates:
        pools.setdefault(root(one.key), []).append(one)
    return list(pools.values())


def _overlap_without_zeros(one: Profile, other: Profile) -> float:
    """Shared values once leading zeros are gone, where one column has them and the other has not."""
    padded = [any(value.startswith("0") for value in profile.folded) for profile in (one, other)]
    if padded[0] == padded[1] or not (one.is_number and other.is_number):
        return 0.0
    a, b = ({value.lstrip("0") for value in profile.folded} for profile in (one, other))
    return max(len(a & b) / len(a), len(a & b) / len(b)) if len(a) > _FEW and len(b) > _FEW else 0.0


def _district_pool(pools: Sequence[Sequence[_Candidate]]) -> Sequence[_Candidate]:
    """The ids of the attendance file; of several the one that most files carry, then the one called student number."""

    def weight(pool: Sequence[_Candidate]) -> tuple[bool, int, float]:
        by_extract = {one.extract.name for one in pool}
        attends = any({"att", "attendance", "absence", "absences"} & one.extract.file_words for one in pool)
        local = sum(not is_other_id(one.profile, one.extract.table_name) for one in pool) / len(pool)
        return attends, len(by_extract), local + max(one.score for one in pool)

    return max(pools, key=weight, default=[])


def _system_names(pools: Sequence[Sequence[_Candidate]], own: Mapping[str, _Candidate]) -> dict[int, str]:
    """A name for each pool that a file joins with the district's own ids: its id is the pool's id()."""
    names: dict[int, str] = {}
    for pool in pools:
        bridges = [one for one in pool if one.extract.name in own and own[one.extract.name] not in pool]
        if not bridges:
            continue
        parts = words(bridges[0].profile.name)
        plain = [word for word in parts if word not in {"id", "student", "number", "user", "stu", "no", "key"}]
        name = re.sub(r"[^a-z0-9]", "", (plain or ["other"])[0]) or "other"
        while name in names.values() or name == "local":
            name += "2"
        names[id(pool)] = name
    return names


def _schools(found: Sequence[Extract], result: Links) -> None:
    """Each extract's school id: by name, and where names leave a choice, the one that other files share."""
    candidates = [_Candidate(extract, *one) for extract in found for one in id_candidates(extract, "school_id")]
    strong = [one for one in candidates if one.score >= 0.5]
    for extract in found:
        mine = [one for one in candidates if one.extract.name == extract.name]
        mine += [] if any(one.score >= 0.7 for one in mine) else _schools_by_content(extract, strong)
        student = result.ids[extract.name].get("student_id")
        mine = [one for one in mine if student is None or one.profile.name not in student.names]
        if not mine:
            continue

        best = max(mine, key=lambda one: (one.score + 0.1 * min(3, _sharing(one, strong)), -_place(one)))
        result.ids[extract.name]["school_id"] = Choice(best.profile.name, best.score, best.reason)


def _sharing(one: _Candidate, others: Sequence[_Candidate]) -> int:
    """How many columns of other extracts hold half of the same values, the smaller of both counting."""
    return sum(
        max(one.profile.overlap(other.profile), other.profile.overlap(one.profile)) >= 0.5
        for other in others
        if other.extract.name != one.extract.name
    )


def _place(one: _Candidate) -> int:
    return one.extract.table.columns.index(one.profile.name)


def _schools_by_content(extract: Extract, strong: Sequence[_Candidate]) -> list[_Candidate]:
    made = []
    for profile in extract.profiles:
        if normal(profile.name) not in _ROW_IDS or profile.is_date or profile.is_flag:
            continue
        for other in strong:
            # One school's id proves nothing while it is short: 1 is in every column.
            if other.extract is extract or (len(other.profile.values) < 2 and min(map(len, other.profile.values)) < 5):
                continue
            if other.profile.overlap(profile) >= 0.8:
                reason = f"its values are those of {other.profile.name} in {other.extract.name}"
                made.append(_Candidate(extract, profile, 0.75, reason))
    return made
