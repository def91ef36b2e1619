{{ config(materialized="table") }}
{{ judged_rows("intervention", ["organization_id", "intervention_id"], optional=["organization_id"]) }}
