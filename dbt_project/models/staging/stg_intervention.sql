select
    intervention_id,
    nullif(organization_id, '') as organization_id,
    nullif(intervention_name, '') as intervention_name,
    try_cast(nullif(start_date, '') as date) as start_date,
    try_cast(nullif(end_date, '') as date) as end_date,
    nullif(delivery, '') as delivery
from {{ ref("stg_intervention__judged") }}
where verdict = 'accepted'
