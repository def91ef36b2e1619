"""Deliveries: which files of which night speak, and with which number later ones replace them."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from pipelines.deliveries import DeliveredFile, Delivery, MissingRows, standings

FIRST = date(2025, 9, 1)


def nights(*sets: str) -> list[Delivery]:
    """Deliveries from `name=content` words, one string a night."""
    found = []
    for number, words in enumerate(sets, start=1):
        files = tuple(sorted(DeliveredFile(*word.split("=")) for word in words.split()))
        found.append(Delivery("s", number, FIRST + timedelta(days=number), files))
    return found


def live(missing_rows: MissingRows, *sets: str) -> dict[str, int]:
    """Name=content of the files that speak, and their numbers."""
    found = standings(nights(*sets), missing_rows)
    assert len({one.file.file_id for one in found}) == len(found)
    assert all(one.delivered_on == FIRST + timedelta(days=one.delivery_no) for one in found)
    return {f"{one.file.name}={one.file.file_id}": one.delivery_no for one in found if one.is_live}


def test_nothing_delivered() -> None:
    assert standings([], "full") == []


def test_full_only_the_newest_delivery_speaks() -> None:
    assert live("full", "a=1 b=2", "a=1 b=3") == {"a=1": 2, "b=3": 2}
    assert live("full", "a=1 b=2", "b=2") == {"b=2": 2}


def test_append_a_name_sent_again_replaces_itself_and_names_that_left_stay() -> None:
    assert live("append", "a=1", "b=2", "b=3 c=4") == {"a=1": 1, "b=3": 3, "c=4": 3}
    assert live("append", "a=1", "a=2", "a=1") == {"a=1": 3}


def test_append_by_record_every_content_speaks_in_the_order_in_which_it_came() -> None:
    found = standings(nights("a=1 b=2", "a=3 b=2", "a=1 b=2"), "append", by_record=True)
    assert [(one.file.name, one.file.file_id, one.delivery_no) for one in found if one.is_live] == [
        ("b", "2", 1),
        ("a", "3", 2),
        ("a", "1", 3),
    ]
    only_newest = standings(nights("a=1", "a=2"), "full", by_record=True)
    assert [one.file.file_id for one in only_newest if one.is_live] == ["2"]


@pytest.mark.parametrize("missing_rows", ["window", "active_only"])
def test_one_name_written_over_each_night(missing_rows: MissingRows) -> None:
    assert live(missing_rows, "a=1", "a=2", "a=3") == {"a=1": 1, "a=2": 2, "a=3": 3}
    assert live(missing_rows, "a=1", "a=2", "a=1") == {"a=2": 2, "a=1": 3}


@pytest.mark.parametrize("missing_rows", ["window", "active_only"])
def test_a_new_name_each_night_leaves_older_names_older(missing_rows: MissingRows) -> None:
    assert live(missing_rows, "m=1", "m=1 t=2", "m=1 t=2 w=3") == {"m=1": 1, "t=2": 2, "w=3": 3}


@pytest.mark.parametrize("missing_rows", ["window", "active_only"])
def test_files_that_belong_together_count_as_sent_again_when_one_changes(missing_rows: MissingRows) -> None:
    assert live(missing_rows, "elem=1 high=2", "elem=3 high=2") == {"elem=1": 1, "elem=3": 2, "high=2": 2}


@pytest.mark.parametrize("missing_rows", ["window", "active_only", "append", "full"])
def test_a_copy_under_another_name_counts_once_and_changes_nothing(missing_rows: MissingRows) -> None:
    together = live(missing_rows, "a=1 copy=1")
    assert together == {"a=1": 1}
    later = live(missing_rows, "a=1", "a=1 copy=1")
    assert later == ({"a=1": 2} if missing_rows == "full" else {"a=1": 1})


def test_old_content_under_a_new_name_replaces_what_came_between() -> None:
    assert live("window", "a=1", "a=1 b=2", "a=1 b=2 c=1") == {"b=2": 2, "c=1": 3}


def test_the_hash_of_a_delivery_depends_on_names_and_contents_only() -> None:
    one, same, other = nights("a=1 b=2", "b=2 a=1", "a=2 b=1")
    assert one.hash == same.hash != other.hash
