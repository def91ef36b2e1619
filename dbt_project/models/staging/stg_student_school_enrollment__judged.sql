{{ config(materialized="table") }}
{{
    judged_rows(
        "student_school_enrollment",
        ["student_key", "answering_id", "entry_date"],
        student="student_key",
        school_day="entry_date",
        longest="exit_date",
    )
}}
