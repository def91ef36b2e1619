{{ config(materialized="table") }}
{{ judged_rows("student_demographic", ["student_key", "start_date"], student="student_key") }}
