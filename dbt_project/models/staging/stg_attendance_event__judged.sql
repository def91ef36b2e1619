{{ config(materialized="table") }}
{{ judged_rows("attendance_event", ["student_key", "school_id", "date"], student="student_key", date_column="date") }}
