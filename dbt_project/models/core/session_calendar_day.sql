-- Each calendar of a school on each day on which any of them is in session.
-- Of the rows that speak of a day, the most specific one decides: one for the grade before one for the calendar before
-- one for the school before the district's (`all`). A calendar is whole: where a school, or one of its calendars, has a
-- session day of its own in a school year, more general calendars say nothing in that year, not even of days that its
-- own leaves out. Rows for a grade are exceptions by day. A school whose calendars all have ids is, for an enrollment
-- that names none of them, in session when any of them is.
with
    dated as (
        select
            day.school_id,
            day.calendar_id,
            day.grade,
            day.date,
            day.calendar_event,
            coalesce(day.share_of_day, 1) as session_share,
            day.minutes as session_minutes,
            {{ school_year_of("day.date", "context.school_year_start") }} as school_year
        from {{ ref("stg_calendar_date") }} as day
        cross join {{ source("control", "run_context") }} as context
    ),
    plain_year as (select distinct school_id, school_year from dated where calendar_id = '' and grade = ''),
    said as (
        select school_id, calendar_id, grade, date, calendar_event, session_share, session_minutes, school_year
        from dated
        union all
        select
            dated.school_id,
            '' as calendar_id,
            dated.grade,
            dated.date,
            dated.calendar_event,
            dated.session_share,
            dated.session_minutes,
            dated.school_year
        from dated
        left join plain_year on dated.school_id = plain_year.school_id and dated.school_year = plain_year.school_year
        where dated.calendar_id <> '' and plain_year.school_id is null
    ),
    calendar as (
        select distinct session_calendar_no, school_id, applied_calendar_id, applied_grade
        from {{ ref("session_calendar") }}
    ),
    either as (
        select 0 as is_own
        union all
        select 1 as is_own
    ),
    scope as (
        select
            calendar.session_calendar_no,
            case when school.is_own = 1 then calendar.school_id else 'all' end as school_id,
            case when track.is_own = 1 then calendar.applied_calendar_id else '' end as calendar_id,
            case when grade.is_own = 1 then calendar.applied_grade else '' end as grade,
            4 * grade.is_own + 2 * track.is_own + school.is_own as specificity
        from calendar
        cross join either as school
        cross join either as track
        cross join either as grade
        where
            (track.is_own = 0 or calendar.applied_calendar_id <> '')
            and (grade.is_own = 0 or calendar.applied_grade <> '')
    ),
    heard as (
        select
            scope.session_calendar_no,
            scope.specificity,
            said.date,
            said.calendar_event,
            said.session_share,
            said.session_minutes,
            said.school_year
        from scope
        inner join
            said
            on scope.school_id = said.school_id
            and scope.calendar_id = said.calendar_id
            and scope.grade = said.grade
    ),
    whole as (
        select session_calendar_no, school_year, max(specificity) as specificity
        from heard
        where specificity < 4 and calendar_event = 'session'
        group by session_calendar_no, school_year
    ),
    ranked as (
        select
            heard.*,
            row_number() over (
                partition by heard.session_calendar_no, heard.date
                order by
                    heard.specificity desc,
                    case when heard.calendar_event = 'session' then 0 else 1 end,
                    heard.session_share desc,
                    coalesce(heard.session_minutes, 0) desc
            ) as place
        from heard
        left join
            whole on heard.session_calendar_no = whole.session_calendar_no and heard.school_year = whole.school_year
        where heard.specificity >= 4 or heard.specificity >= coalesce(whole.specificity, 0)
    ),
    session as (
        select
            ranked.session_calendar_no,
            calendar.school_id,
            ranked.date,
            ranked.school_year,
            ranked.session_share,
            ranked.session_minutes
        from ranked
        inner join calendar on ranked.session_calendar_no = calendar.session_calendar_no
        where ranked.place = 1 and ranked.calendar_event = 'session'
    )
select
    calendar.session_calendar_no,
    calendar.school_id,
    any_session.school_year,
    any_session.date,
    session.session_calendar_no is not null as is_session,
    cast(session.session_share as decimal(9, 4)) as session_share,
    cast(session.session_minutes as bigint) as session_minutes,
    any_session.date <= context.as_of as is_elapsed,
    any_session.date <= context.attendance_settled_on as is_settled
from calendar
inner join
    (select distinct school_id, school_year, date from session) as any_session
    on calendar.school_id = any_session.school_id
cross join {{ source("control", "run_context") }} as context
left join session on calendar.session_calendar_no = session.session_calendar_no and any_session.date = session.date
