{{ config(materialized="table") }}
{{
    judged_rows(
        "calendar_date",
        ["answering_id", "calendar_id", "grade", "date"],
        date_column="date",
        optional=["calendar_id", "grade"],
        school_day="date",
    )
}}
