-- Periods of a school's day, from the district's file and from `calendar:` in district.yaml. A period without minutes
-- has none: what that means for its weight is decided for the whole schedule, in bell_period.
select
    coalesce(answering_id, school_id) as school_id,
    calendar_id,
    coalesce(try_cast(nullif(start_date, '') as date), date '1900-01-01') as start_date,
    coalesce(try_cast(nullif(end_date, '') as date), date '9999-12-31') as end_date,
    lower(period) as period,
    try_cast(nullif(minutes, '') as bigint) as minutes
from {{ ref("stg_bell_schedule__judged") }}
where verdict = 'accepted'
union all
select
    {{ school_on("succession", "configured.school_id", "cast(configured.start_date as varchar)") }} as school_id,
    configured.calendar_id,
    configured.start_date,
    configured.end_date,
    lower(trim(configured.period)) as period,
    cast(configured.minutes as bigint) as minutes
from {{ source("control", "configured_period") }} as configured
left join {{ ref("stg_school_succession") }} as succession on configured.school_id = succession.school_id
