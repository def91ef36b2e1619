select
    incident_key,
    nullif(participant.school_id, '') as school_id,
    student_key,
    coalesce(part.meaning, 'unknown') as participation,
    coalesce(behavior_meaning.meaning, 'unknown') as behavior
from {{ ref("stg_discipline_incident_student__judged") }} as participant
left join
    {{ meanings(ref("stg_discipline_incident_student__judged"), "participation", "participation") }} as part
    on lower(trim(participant.participation)) = part.code
left join
    {{ meanings(ref("stg_discipline_incident_student__judged"), "behavior", "behavior") }} as behavior_meaning
    on lower(trim(participant.behavior)) = behavior_meaning.code
where verdict = 'accepted'
