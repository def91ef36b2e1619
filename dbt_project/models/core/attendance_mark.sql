{{ config(materialized="view") }}
-- What was recorded of a student at a school on a day: the mark of the whole day, or its periods rolled up.
select
    event.student_key,
    event.school_id,
    event.date,
    {{ mark_status("event.category", "event.fraction_absent") }} as status,
    cast({{ mark_fraction("event.category", "event.fraction_absent") }} as decimal(9, 8)) as fraction_absent,
    {{ mark_absence_type("event.category") }} as absence_type
from {{ ref("stg_attendance_event") }} as event
cross join {{ source("control", "run_context") }} as context
where event.period = '' and event.date <= context.as_of
union all
select student_key, school_id, date, status, fraction_absent, absence_type
from {{ ref("period_attendance_day") }}
