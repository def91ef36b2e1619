-- Session days by school: the days on which any of its calendars is in session.
with
    session as (
        select distinct school_id, school_year, date, is_elapsed, is_settled
        from {{ ref("session_calendar_day") }}
        where is_session
    )
select
    school_id,
    school_year,
    date,
    row_number() over (partition by school_id, school_year order by date) as session_number,
    is_elapsed,
    is_settled
from session
