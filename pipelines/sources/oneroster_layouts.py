"""The files of a OneRoster 1.1 or 1.2 set as data: by which columns each is known, and what it can say.

Column names are those of the standard in lower case: headers are told in any case. A file's name is not known where it
is read, since files are kept by their content.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Feed:
    """What a file says of one entity.

    columns: contract column -> the file's column in lower case, the first that the file has of several.
    only: the column and the value of the rows that speak of it; others are left out and counted.
    nothing: the file cannot tell which of its rows do, so that all are left out.
    """

    entity: str
    columns: dict[str, tuple[str, ...]] = field(default_factory=dict)
    only: tuple[str, str] | None = None
    nothing: bool = False


@dataclass(frozen=True)
class Layout:
    """A file of a set. told_by: the columns, in lower case, by which its header is known."""

    name: str
    told_by: frozenset[str]
    feeds: tuple[Feed, ...] = ()


def _known(name: str, told_by: str, *feeds: Feed) -> Layout:
    return Layout(name, frozenset(told_by.split()), feeds)


_IDENTIFIERS = Feed("student_identifier", {"student_id": ("sourcedid",)})
#: In the order in which they are tried: what is told by more stands before what is told by a part of it.
LAYOUTS = (
    _known("manifest", "propertyname value"),
    _known(
        "enrollments",
        "sourcedid classsourcedid usersourcedid role",
        Feed(
            "student_school_enrollment",
            {
                "student_id": ("usersourcedid",),
                "school_id": ("schoolsourcedid",),
                "entry_date": ("begindate",),
                "exit_date": ("enddate",),
            },
            ("role", "student"),
        ),
    ),
    _known(
        "roles",
        "sourcedid usersourcedid roletype role",
        Feed("student", {"student_id": ("usersourcedid",)}, ("role", "student")),
    ),
    _known(
        "demographics",
        "sex hispanicorlatinoethnicity",
        Feed(
            "student_demographic",
            {
                # OneRoster 1.0 named the column after the user; later versions give the record the user's id.
                "student_id": ("usersourcedid", "sourcedid"),
                "sex": ("sex",),
                "hispanic_latino": ("hispanicorlatinoethnicity",),
            },
        ),
    ),
    _known(
        "users",
        "sourcedid username givenname familyname role",
        Feed("student", {"student_id": ("sourcedid",)}, ("role", "student")),
        Feed(_IDENTIFIERS.entity, _IDENTIFIERS.columns, ("role", "student")),
    ),
    # 1.2 moved the role to roles.csv, and with it the answer to who is a student.
    _known(
        "users of 1.2",
        "sourcedid username givenname familyname",
        Feed("student", {"student_id": ("sourcedid",)}, nothing=True),
        _IDENTIFIERS,
    ),
    _known(
        "orgs",
        "sourcedid name type",
        Feed("school", {"school_id": ("sourcedid",), "school_name": ("name",)}, ("type", "school")),
    ),
    _known("academicSessions", "sourcedid title type startdate enddate"),
    _known("courses", "sourcedid title coursecode orgsourcedid"),
    _known("classes", "sourcedid title coursesourcedid schoolsourcedid"),
    _known("userProfiles", "sourcedid usersourcedid profiletype"),
    _known("resources", "sourcedid vendorresourceid"),
    _known("classResources", "sourcedid classsourcedid resourcesourcedid"),
    _known("courseResources", "sourcedid coursesourcedid resourcesourcedid"),
    _known("userResources", "sourcedid usersourcedid resourcesourcedid"),
    _known("results", "sourcedid lineitemsourcedid studentsourcedid"),
    _known("lineItems", "sourcedid title assigndate duedate"),
    _known("scoreScales", "sourcedid title scorescalevalue"),
    _known("lineItemLearningObjectiveIds", "sourcedid lineitemsourcedid learningobjectiveid"),
    _known("lineItemScoreScales", "sourcedid lineitemsourcedid scorescalesourcedid"),
    _known("resultLearningObjectiveIds", "sourcedid resultsourcedid learningobjectiveid"),
    _known("resultScoreScales", "sourcedid resultsourcedid scorescalesourcedid"),
)
#: categories.csv has no column of its own, so that its header must hold these and no others (beside metadata).
CATEGORIES = frozenset({"sourcedid", "status", "datelastmodified", "title", "weight"})

#: What a set can feed, whatever version it is.
FEEDS = frozenset(feed.entity for layout in LAYOUTS for feed in layout.feeds)
#: What it feeds unless the source names its entities. Ids of other systems are joined only where that is asked for.
FEEDS_UNASKED = FEEDS - {"student_identifier"}
