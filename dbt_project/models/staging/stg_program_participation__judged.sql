{{ config(materialized="table") }}
{{
    judged_rows(
        "program_participation",
        ["student_key", "program_id", "organization_id", "start_date"],
        student="student_key",
        optional=["organization_id", "start_date"],
    )
}}
