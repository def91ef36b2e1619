{{ config(materialized="table") }} {{ judged_rows("survey", ["survey_id"]) }}
