{{ config(materialized="table") }}
{{ judged_rows("discipline_incident", ["incident_key", "answering_id"], date_column="date", school_day="date") }}
