{{ config(materialized="table") }}
{{ judged_rows("discipline_incident", ["incident_key", "school_id"], date_column="date") }}
