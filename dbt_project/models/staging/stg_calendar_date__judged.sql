{{ config(materialized="table") }}
{{ judged_rows("calendar_date", ["school_id", "calendar_id", "date"], date_column="date") }}
