{{ config(materialized="table") }}
{{ judged_rows("attendance_taken", ["answering_id", "date"], date_column="date", school_day="date") }}
