{{ config(materialized="table") }}
{{
    judged_rows(
        "attendance_event",
        ["student_key", "answering_id", "date", "period"],
        student="student_key",
        date_column="date",
        optional=["period"],
        school_day="date",
    )
}}
