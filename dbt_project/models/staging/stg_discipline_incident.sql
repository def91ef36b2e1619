select
    incident_key,
    coalesce(incident.answering_id, incident.school_id) as school_id,
    cast(date as date) as date,
    coalesce(behavior_meaning.meaning, 'unknown') as behavior,
    nullif(location, '') as location,
    nullif(reporter_role, '') as reporter_role
from {{ ref("stg_discipline_incident__judged") }} as incident
left join
    {{
        meanings(
            ref("stg_discipline_incident__judged"),
            "behavior",
            "behavior",
            school="school_id",
            school_year=coded_year("cast(date as date)"),
        )
    }} as behavior_meaning
    on {{
        same_meaning(
            "behavior_meaning",
            "incident.behavior",
            school="incident.school_id",
            school_year=coded_year("cast(incident.date as date)"),
        )
    }}
where verdict = 'accepted'
