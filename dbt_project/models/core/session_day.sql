-- Session days by school: its own calendar, or the district's (`all`) in years for which it has none.
with
    dated as (
        select
            day.school_id,
            day.date,
            day.calendar_event,
            {{ school_year_of("day.date", "context.school_year_start") }} as school_year
        from {{ ref("stg_calendar_date") }} as day
        cross join {{ source("control", "run_context") }} as context
    ),
    own_year as (select distinct school_id, school_year from dated where school_id <> 'all'),
    applied as (
        select school_id, school_year, date, calendar_event
        from dated
        where school_id <> 'all'
        union all
        select school.school_id, dated.school_year, dated.date, dated.calendar_event
        from dated
        cross join {{ ref("school") }} as school
        left join own_year on school.school_id = own_year.school_id and dated.school_year = own_year.school_year
        where dated.school_id = 'all' and own_year.school_id is null
    ),
    session as (select distinct school_id, school_year, date from applied where calendar_event = 'session')
select
    session.school_id,
    session.school_year,
    session.date,
    row_number() over (partition by session.school_id, session.school_year order by session.date) as session_number,
    session.date <= context.as_of as is_elapsed,
    session.date <= context.attendance_settled_on as is_settled
from session
cross join {{ source("control", "run_context") }} as context
