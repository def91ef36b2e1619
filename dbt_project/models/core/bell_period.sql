-- The periods of each session day of a school, and what each weighs. Of the schedules that hold on a day, the one of
-- the
-- school's own calendar counts before the school's before the district's; among those, the one that began last, so that
-- a schedule of one day replaces the usual one on that day. Minutes are weights where every period of the schedule has
-- them; else all weigh the same. A period of 0 minutes weighs nothing.
with
    schedule as (
        select school_id, calendar_id, start_date, end_date, period, minutes from {{ ref("stg_bell_schedule") }}
    ),
    school_calendar as (
        select day.school_id, named.calendar_id
        from (select distinct school_id from {{ ref("session_day") }}) as day
        inner join (select distinct school_id, calendar_id from schedule) as named on day.school_id = named.school_id
        union
        select day.school_id, named.calendar_id
        from (select distinct school_id from {{ ref("session_day") }}) as day
        cross join (select distinct calendar_id from schedule where school_id = 'all') as named
        union
        select day.school_id, '' as calendar_id
        from (select distinct school_id from {{ ref("session_day") }}) as day
    ),
    scope as (
        select school_id, calendar_id, school_id as said_for, calendar_id as said_of, 3 as specificity
        from school_calendar
        where calendar_id <> ''
        union all
        select school_id, calendar_id, 'all', calendar_id, 2
        from school_calendar
        where calendar_id <> ''
        union all
        select school_id, calendar_id, school_id, '', 1
        from school_calendar
        union all
        select school_id, calendar_id, 'all', '', 0
        from school_calendar
    ),
    held as (
        select
            scope.school_id,
            scope.calendar_id,
            day.date,
            schedule.period,
            schedule.minutes,
            case when schedule.start_date = schedule.end_date then 1 else 0 end as is_one_day,
            rank() over (
                partition by scope.school_id, scope.calendar_id, day.date
                order by scope.specificity desc, schedule.start_date desc
            ) as place
        from scope
        inner join schedule on scope.said_for = schedule.school_id and scope.said_of = schedule.calendar_id
        inner join
            {{ ref("session_day") }} as day
            on scope.school_id = day.school_id
            and day.date between schedule.start_date and schedule.end_date
        where day.is_elapsed
    ),
    counted as (
        select school_id, calendar_id, date, period, max(minutes) as minutes, min(is_one_day) as is_one_day
        from held
        where place = 1
        group by school_id, calendar_id, date, period
    ),
    told as (
        select
            counted.*,
            min(is_one_day) over (partition by school_id, calendar_id, date) as is_for_the_day,
            min(case when minutes is null then 0 else 1 end) over (
                partition by school_id, calendar_id, date
            ) as has_all_minutes
        from counted
    ),
    weighed as (
        select
            school_id,
            calendar_id,
            date,
            period,
            is_for_the_day = 1 as is_for_the_day,
            case when minutes = 0 then 0 when has_all_minutes = 1 then minutes else 1 end as weight
        from told
    )
select
    school_id,
    calendar_id,
    date,
    period,
    is_for_the_day,
    cast(weight as bigint) as weight,
    cast(sum(weight) over (partition by school_id, calendar_id, date) as bigint) as day_weight
from weighed
