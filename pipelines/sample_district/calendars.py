"""School calendars: about 180 session days a year, which begin on different days by kind of school."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

#: Weeks before the elementary schools' first day, session days, and minutes of a full day, by calendar.
CALENDARS = {
    "elementary_middle": (0, 180, 390),
    "high": (1, 180, 420),
    "charter": (1, 185, 410),
    "placement": (0, 180, 360),
}

SESSION = "Instructional day"
EARLY_RELEASE = "Early release"
HOLIDAY = "Holiday"
TEACHERS_ONLY = "Teacher only day"
WEATHER = "Weather day"


@dataclass(frozen=True)
class CalendarDay:
    """A weekday in one calendar. `day_no` counts session days from 1; None when there is no session."""

    school_year: int
    calendar: str
    day: date
    event: str
    minutes: int
    day_no: int | None


def _weekday_on_or_after(day: date, weekday: int) -> date:
    return day + timedelta(days=(weekday - day.weekday()) % 7)


def earliest_first_day(school_year: int) -> date:
    """First session day of the calendar that begins first."""
    return _first_day(school_year, max(weeks for weeks, _, _ in CALENDARS.values()))


def _first_day(school_year: int, weeks_before: int) -> date:
    return _weekday_on_or_after(date(school_year - 1, 8, 25), 0) - timedelta(weeks=weeks_before)


def survey_window(school_year: int) -> tuple[date, date]:
    """First and last day of the student survey: the two weeks from the first Monday of February."""
    opened = _weekday_on_or_after(date(school_year, 2, 1), 0)
    return opened, opened + timedelta(days=11)


def _days(first: date, last: date) -> set[date]:
    return {first + timedelta(days=n) for n in range((last - first).days + 1)}


def _closures(school_year: int) -> dict[date, str]:
    fall, spring = school_year - 1, school_year
    thanksgiving = _weekday_on_or_after(date(fall, 11, 22), 3)
    spring_break = _weekday_on_or_after(date(spring, 4, 1), 0)
    holidays = {
        _weekday_on_or_after(date(fall, 9, 1), 0),
        _weekday_on_or_after(date(fall, 10, 8), 0),
        date(fall, 11, 11),
        *_days(thanksgiving - timedelta(days=1), thanksgiving + timedelta(days=1)),
        *_days(date(fall, 12, 22), date(spring, 1, 2)),
        _weekday_on_or_after(date(spring, 1, 15), 0),
        _weekday_on_or_after(date(spring, 2, 15), 0),
        *_days(spring_break, spring_break + timedelta(days=4)),
        _weekday_on_or_after(date(spring, 5, 25), 0),
    }
    teachers = {
        _weekday_on_or_after(date(fall, 10, 22), 4),
        _weekday_on_or_after(date(spring, 1, 22), 0),
        _weekday_on_or_after(date(spring, 3, 8), 4),
    }
    return dict.fromkeys(teachers, TEACHERS_ONLY) | dict.fromkeys(holidays, HOLIDAY)


def build(school_years: list[int], end: date, weather: dict[int, list[int]]) -> Iterator[CalendarDay]:
    """Every weekday of every calendar, first to last session day.

    `weather` gives, by school year, days counted from January 6 on which schools closed; a closure after
    `end` is not known yet, so that day is still in session and the year still ends as first planned.
    """
    for school_year in school_years:
        closures = _closures(school_year)
        for offset in weather[school_year]:
            day = date(school_year, 1, 6) + timedelta(days=offset)
            if day <= end and day not in closures:
                closures[day] = WEATHER
        for calendar, (weeks_before, sessions, minutes) in CALENDARS.items():
            day, day_no = _first_day(school_year, weeks_before), 0
            while day_no < sessions:
                if day.weekday() < 5:
                    if day in closures:
                        yield CalendarDay(school_year, calendar, day, closures[day], 0, None)
                    else:
                        day_no += 1
                        early = day.weekday() == 2 and day_no % 4 == 0
                        event = EARLY_RELEASE if early else SESSION
                        yield CalendarDay(school_year, calendar, day, event, minutes - 120 * early, day_no)
                day += timedelta(days=1)
