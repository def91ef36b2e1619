{{ config(materialized="table") }}
{{
    judged_rows(
        "discipline_action",
        ["action_key", "student_key", "action"],
        student="student_key",
        date_column="date",
        school_day="date",
    )
}}
