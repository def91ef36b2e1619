{{ config(materialized="table") }}
{{
    judged_rows(
        "discipline_incident_student", ["incident_key", "school_id", "student_key", "behavior"], student="student_key"
    )
}}
