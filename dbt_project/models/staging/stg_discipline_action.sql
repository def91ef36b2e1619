select
    action_key,
    incident_key,
    student_key,
    coalesce(action.answering_id, action.school_id) as school_id,
    cast(date as date) as date,
    lower(trim(action.action)) as action_code,
    kind.meaning as action,
    try_cast(nullif(days_planned, '') as decimal(9, 4)) as days_planned,
    try_cast(nullif(days_actual, '') as decimal(9, 4)) as days_actual
from {{ ref("stg_discipline_action__judged") }} as action
left join
    {{
        meanings(
            ref("stg_discipline_action__judged"),
            "action",
            "discipline_action",
            school="school_id",
            school_year=coded_year("cast(date as date)"),
        )
    }} as kind
    on {{
        same_meaning(
            "kind", "action.action", school="action.school_id", school_year=coded_year("cast(action.date as date)")
        )
    }}
where verdict = 'accepted'
