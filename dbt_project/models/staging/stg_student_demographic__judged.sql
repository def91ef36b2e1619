{{ config(materialized="table") }}
{{ judged_rows("student_demographic", ["source_id", "student_key", "start_date"], student="student_key") }}
