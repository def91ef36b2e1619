{{ config(materialized="table") }}
{{ judged_rows("survey_response", ["survey_id", "response_key", "item_id"], student="student_key") }}
