{{ config(materialized="table") }}
{{
    judged_rows(
        "bell_schedule",
        ["answering_id", "calendar_id", "start_date", "period"],
        date_column="start_date",
        optional=["calendar_id", "start_date"],
        school_day="start_date",
    )
}}
