{{ config(materialized="table") }}
{{ judged_rows("survey_questionnaire", ["survey_id", "response_key"], student="student_key") }}
