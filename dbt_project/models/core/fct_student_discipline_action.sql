select
    action.action_key,
    action.incident_key,
    action.student_key,
    action.school_id,
    {{ school_year_of("action.date", "context.school_year_start") }} as school_year,
    action.date,
    action.action_code,
    action.action,
    action.days_planned,
    action.days_actual
from {{ ref("stg_discipline_action") }} as action
cross join {{ source("control", "run_context") }} as context
where action.date <= context.as_of
