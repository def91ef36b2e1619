{{ config(materialized="table") }} {{ judged_rows("student", ["student_key"], student="student_key") }}
