{{ config(materialized="table") }}
{{
    judged_rows(
        "state_report",
        ["state_organization_id", "organization_level", "school_year", "indicator", "student_group"],
    )
}}
