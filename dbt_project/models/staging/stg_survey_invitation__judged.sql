{{ config(materialized="table") }}
{{ judged_rows("survey_invitation", ["survey_id", "student_key"], student="student_key") }}
