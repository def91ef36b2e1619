select
    action_key,
    incident_key,
    student_key,
    action.school_id,
    cast(date as date) as date,
    lower(trim(action.action)) as action_code,
    kind.meaning as action,
    try_cast(nullif(days_planned, '') as decimal(9, 4)) as days_planned,
    try_cast(nullif(days_actual, '') as decimal(9, 4)) as days_actual
from {{ ref("stg_discipline_action__judged") }} as action
left join
    {{ meanings(ref("stg_discipline_action__judged"), "action", "discipline_action", school="school_id") }} as kind
    on lower(trim(action.action)) = kind.code
    and action.school_id = kind.code_school_id
where verdict = 'accepted'
