{{ config(materialized="table") }} {{ judged_rows("attendance_taken", ["school_id", "date"], date_column="date") }}
