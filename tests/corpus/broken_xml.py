"""Broken Ed-Fi interchanges: what exports, editors, gateways and hostile senders do to XML."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from broken_files import ROWS, Case, _hurt, as_csv, good_rows

_DECLARED = '<?xml version="1.0" encoding="UTF-8"?>\n'
_ROOT = "InterchangeStudentAttendance"
_OPEN = f'<{_ROOT} xmlns="http://ed-fi.org/5.2.0">\n'
_CLOSE = f"</{_ROOT}>\n"
_CHANCES = 24


def event(row: list[str], **changed: str) -> str:
    """One mark, on a line of its own."""
    student, school, day, code = row
    parts = {
        "attributes": "",
        "day": f"<EventDate>{day}</EventDate>",
        "category": f"<AttendanceEventCategory>uri://ed-fi.org/AttendanceEventCategoryDescriptor#{code}"
        "</AttendanceEventCategory>",
        "student": "<StudentReference><StudentIdentity><StudentUniqueId>"
        f"{student}</StudentUniqueId></StudentIdentity></StudentReference>",
        "school": f"<SchoolReference><SchoolIdentity><SchoolId>{school}</SchoolId></SchoolIdentity></SchoolReference>",
        "more": "",
        **changed,
    }
    return (
        "<StudentSchoolAttendanceEvent{attributes}><AttendanceEvent>{day}{category}</AttendanceEvent>"
        "{student}{school}{more}</StudentSchoolAttendanceEvent>\n"
    ).format(**parts)


def events(**changed: str) -> str:
    """Sixty marks, of which the first is changed."""
    rows = good_rows()
    return event(rows[0], **changed) + "".join(map(event, rows[1:]))


def whole(body: str, begin: str = _DECLARED + _OPEN, end: str = _CLOSE) -> str:
    return begin + body + end


def broken_xml(chance: random.Random) -> Iterator[Case]:
    """Every case: held as a whole, or with its counts; the last are made by chance."""

    def made(name: str, content: bytes | str, **expected: Any) -> Case:
        encoded = content if isinstance(content, bytes) else content.encode()
        return Case(f"edfi_{name}", "edfi_xml", ".xml", encoded, **expected)

    yield made("good", whole(events()), accepted=ROWS, refused=0)
    for name, content in _held().items():
        yield made(name, content, held=True)
    for name, content in _all_land().items():
        yield made(name, content, accepted=ROWS, refused=0)
    for name, content in _one_refused().items():
        yield made(name, content, accepted=ROWS - 1, refused=1)
    good = whole(events()).encode()
    for number in range(_CHANCES):
        yield made(f"damaged_{number}", _hurt(good, chance) if number % 2 else good[: chance.randrange(1, len(good))])


def _held() -> dict[str, str | bytes]:
    """Nothing of these can be trusted."""
    lol = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    long = "x" * 200_000
    good = whole(events())
    return {
        "bomb": f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "lol">{lol}]>{_OPEN}&l9;</x>',
        "quadratic_bomb": f'<!DOCTYPE x [<!ENTITY a "{long}">]>{_OPEN}{"&a;" * 2_000}{_CLOSE}',
        "foreign_entity": f'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>{_OPEN}&e;</x>',
        "parameter_entity": f'<!DOCTYPE x [<!ENTITY % e SYSTEM "file:///etc/passwd"> %e;]>{_OPEN}{_CLOSE}',
        "foreign_dtd": f'<!DOCTYPE {_ROOT} SYSTEM "http://127.0.0.1:9/x.dtd">{_OPEN}{_CLOSE}',
        "public_dtd": f'<!DOCTYPE {_ROOT} PUBLIC "-//x//y" "http://127.0.0.1:9/x.dtd">{_OPEN}{_CLOSE}',
        "empty_dtd": f"<!DOCTYPE {_ROOT}>{_OPEN}{events()}{_CLOSE}",
        "undefined_entity": whole(events(more="<Note>&nbsp;</Note>")),
        "cut_in_a_tag": good[: good.index("</EventDate>", 5_000) + 5],
        "cut_in_a_value": good[: good.index("<EventDate>", 5_000) + 15],
        "cut_before_its_end": good.removesuffix(_CLOSE),
        "cut_in_cdata": _DECLARED + _OPEN + events() + "<x><![CDATA[ half",
        "cut_in_a_comment": _DECLARED + _OPEN + events() + "<!-- half",
        "cut_in_a_character": good.encode()[:-1] + b"\xc3",
        "not_closed": f"{_OPEN}<StudentSchoolAttendanceEvent>{_CLOSE}",
        "crossed_tags": whole("<a><b></a></b>"),
        "two_roots": good + _OPEN + _CLOSE,
        "text_behind_the_root": good + "and more",
        "text_before_the_root": "id,name\n" + good,
        "blank_line_before_the_declaration": "\n" + good,
        "two_declarations": _DECLARED + good,
        "empty": b"",
        "blank": b" \n \n",
        "zero_bytes": b"\0" * 2000,
        "nul_inside": good.replace("<EventDate>", "<EventDate>\0", 1),
        "control_character": good.replace("<EventDate>", "<EventDate>\x01", 1),
        "reference_to_a_control_character": whole(events(more="<Note>&#1;</Note>")),
        "reference_beyond_unicode": whole(events(more="<Note>&#x110000;</Note>")),
        "really_text": as_csv(good_rows()),
        "really_json": '{"studentSchoolAttendanceEvents": []}',
        "really_html": "<html><body><h1>Sign in</h1></body></html>",
        "an_error_page": '<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
        "a_zip": b"PK\x03\x04" + bytes(range(256)),
        "other_encoding_than_declared": _DECLARED.encode() + _OPEN.encode() + b"\xff\xff",
        "cp1252_declared_utf8": whole(events(more="<Note>caf\u00e9</Note>")).encode("cp1252"),
        "utf16_declared_utf8_without_mark": good.encode("utf-16-le"),
        "unknown_encoding": good.replace("UTF-8", "EBCDIC-XX"),
        "encoding_without_a_name": good.replace("UTF-8", ""),
        "nested_without_end": _OPEN + "<a>" * 200_000,
        "nested_too_deep": whole("<a>" * 100 + "</a>" * 100),
        "same_attribute_twice": whole(events(attributes=' id="a" id="b"')),
        "attribute_without_quotes": whole(events(attributes=" id=a")),
        "less_than_in_an_attribute": whole(events(attributes=' id="<"')),
        "bare_ampersand": whole(events(more="<Note>A & B</Note>")),
        "tag_that_begins_with_a_digit": whole(events(more="<1st/>")),
        "tag_with_a_blank": whole(events(more="< Note></ Note>")),
        "minus_minus_in_a_comment": whole(events(more="<!-- a -- b -->")),
        "endless_value": whole(events(day=f"<EventDate>{long}</EventDate>")),
        "too_many_values": whole(
            events(
                student="<StudentReference><StudentIdentity><StudentUniqueId>1</StudentUniqueId></StudentIdentity>"
                "</StudentReference>" * 20_000
            )
        ),
        "not_an_interchange": f"<Attendance>{events()}</Attendance>",
    }


def _all_land() -> dict[str, str | bytes]:
    """Odd, and still XML: every row lands."""
    good = whole(events())
    prefixed = whole(events()).replace("<", "<e:").replace("<e:/", "</e:").replace("<e:?", "<?")
    hundred_thousand = " ".join(f'a{n}="{n}"' for n in range(100_000))
    return {
        "a_version_to_come": good.replace('version="1.0"', 'version="9.9"'),
        "byte_order_mark": b"\xef\xbb\xbf" + good.encode(),
        "utf16": good.replace("UTF-8", "UTF-16").encode("utf-16"),
        "latin1_declared": whole(events(more="<Note>caf\u00e9</Note>"))
        .replace("UTF-8", "ISO-8859-1")
        .encode("latin-1"),
        "crlf": good.replace("\n", "\r\n"),
        "only_cr": good.replace("\n", "\r"),
        "one_line": good.replace("\n", ""),
        "no_declaration": whole(events(), begin=_OPEN),
        "prefixes": prefixed.replace('xmlns="http', 'xmlns:e="http'),
        "undeclared_prefix": prefixed,
        "mixed_namespaces": good.replace("http://ed-fi.org/5.2.0", "http://example.org/other"),
        "no_namespace": whole(events(), begin=f"<{_ROOT}>"),
        "processing_instruction": whole(events(more="<?php echo 1 ?>")),
        "stylesheet": whole(events(), begin=_DECLARED + '<?xml-stylesheet href="x.xsl"?>' + _OPEN),
        "x_include": whole(
            events(more='<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="file:///etc/passwd"/>')
        ),
        "schema_location": whole(
            events(),
            begin=_OPEN.replace(
                ">", ' xmlns:x="http://www.w3.org/2001/XMLSchema-instance" x:schemaLocation="u http://127.0.0.1:9/a">'
            ),
        ),
        "cdata": whole(events(day=f"<EventDate><![CDATA[{good_rows()[0][2]}]]></EventDate>")),
        "comments_in_a_value": whole(events(day=f"<EventDate>{good_rows()[0][2]}<!-- day --></EventDate>")),
        "unknown_elements": whole(events(more="<x><y>" + "z" * 50_000 + "</y></x>")),
        "a_hundred_thousand_attributes": whole(events(more=f"<x {hundred_thousand}/>")),
        "a_long_attribute": whole(events(attributes=f' note="{"x" * 500_000}"')),
        "elements_of_nothing": whole(events() + "<Unknown/>" * 50_000),
        "blanks_around_values": whole(events(day=f"<EventDate>\n\t {good_rows()[0][2]} \n</EventDate>")),
        "date_twice": whole(events(day=f"<EventDate>{good_rows()[0][2]}</EventDate>" * 2)),
    }


def _one_refused() -> dict[str, str | bytes]:
    """One row cannot be taken, and says why; the others land."""
    return {
        "no_student": whole(events(student="")),
        "empty_student": whole(events(student="<StudentReference/>")),
        "blank_student": whole(
            events(
                student="<StudentReference><StudentIdentity><StudentUniqueId> </StudentUniqueId></StudentIdentity>"
                "</StudentReference>"
            )
        ),
        "dangling_reference": whole(events(student='<StudentReference ref="nobody"/>')),
        "no_school": whole(events(school="")),
        "no_day": whole(events(day="")),
        "day_that_is_none": whole(events(day="<EventDate>2025-02-30</EventDate>")),
        "day_in_words": whole(events(day="<EventDate>yesterday</EventDate>")),
        "day_of_1899": whole(events(day="<EventDate>1899-12-30</EventDate>")),
        "day_with_markup": whole(events(day="<EventDate><b>2025-09-01</b></EventDate>")),
        "no_category": whole(events(category="")),
        "empty_category": whole(events(category="<AttendanceEventCategory/>")),
        "student_in_a_wrong_place": whole(events(student="<StudentUniqueId>7</StudentUniqueId>")),
    }
