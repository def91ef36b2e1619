{{ config(materialized="table") }} {{ judged_rows("school", ["school_id"]) }}
