select
    incident_key,
    incident.school_id,
    cast(date as date) as date,
    coalesce(behavior_meaning.meaning, 'unknown') as behavior,
    nullif(location, '') as location,
    nullif(reporter_role, '') as reporter_role
from {{ ref("stg_discipline_incident__judged") }} as incident
left join
    {{ meanings(ref("stg_discipline_incident__judged"), "behavior", "behavior", school="school_id") }}
    as behavior_meaning
    on lower(trim(incident.behavior)) = behavior_meaning.code
    and incident.school_id = behavior_meaning.code_school_id
where verdict = 'accepted'
