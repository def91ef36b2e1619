select
    incident.incident_key,
    incident.school_id,
    {{ school_year_of("incident.date", "context.school_year_start") }} as school_year,
    incident.date,
    incident.behavior,
    incident.location,
    incident.reporter_role
from {{ ref("stg_discipline_incident") }} as incident
cross join {{ source("control", "run_context") }} as context
where incident.date <= context.as_of
