-- Attendance by school and year, for the gate: coverage of the calendar, trailing silence, unread codes, odd days.
-- Shares come with the students behind them, who decide whether a share may be public.
with
    student_year as (
        select
            school_id,
            school_year,
            student_key,
            sum(case when is_session and status in ('present', 'tardy', 'absent') then 1 else 0 end) as recorded_days,
            sum(
                case
                    when not is_session
                    then 0
                    when status in ('present', 'tardy', 'absent') or (is_enrolled and is_settled)
                    then 1
                    else 0
                end
            ) as expected_days,
            sum(case when is_session and status = 'unknown' then 1 else 0 end) as unreadable_days,
            sum(case when is_session and status <> 'not_taken' and not is_enrolled then 1 else 0 end) as outside_days,
            sum(case when not is_session then 1 else 0 end) as off_calendar_days
        from {{ ref("fct_student_daily_attendance") }}
        group by school_id, school_year, student_key
    ),
    school_year as (
        select
            school_id,
            school_year,
            count(*) as students,
            sum(recorded_days) as recorded_days,
            sum(expected_days) as expected_days,
            sum(unreadable_days) as unreadable_days,
            sum(outside_days) as outside_days,
            sum(off_calendar_days) as off_calendar_days,
            sum(case when recorded_days < expected_days then 1 else 0 end) as students_not_recorded,
            sum(case when unreadable_days > 0 then 1 else 0 end) as students_unreadable,
            sum(case when outside_days > 0 then 1 else 0 end) as students_outside
        from student_year
        group by school_id, school_year
    ),
    taken as (
        select
            school_id,
            school_year,
            max(case when is_taken then date end) as last_taken,
            sum(case when is_settled and members > 0 then 1 else 0 end) as settled_days,
            sum(case when is_settled and members > 0 and is_taken then 1 else 0 end) as taken_days
        from {{ ref("attendance_school_day") }}
        group by school_id, school_year
    ),
    silence as (
        select day.school_id, day.school_year, count(*) as trailing_silent_days
        from {{ ref("attendance_school_day") }} as day
        inner join taken on day.school_id = taken.school_id and day.school_year = taken.school_year
        where day.is_settled and day.members > 0 and (taken.last_taken is null or day.date > taken.last_taken)
        group by day.school_id, day.school_year
    )
select
    fact.school_id as organization_id,
    fact.school_year,
    cast(
        case
            when 100 * coalesce(taken.taken_days, 0) < context.recorded_days_percent * coalesce(taken.settled_days, 0)
            then 1
            else 0
        end as bigint
    ) as has_too_few_taken_days,
    cast(
        case when 100 * recorded_days < context.school_recorded_percent * expected_days then 1 else 0 end as bigint
    ) as has_too_few_recorded,
    cast(
        case when 100 * recorded_days < context.recorded_days_percent * expected_days then 1 else 0 end as bigint
    ) as has_few_recorded,
    cast(coalesce(silence.trailing_silent_days, 0) as bigint) as trailing_silent_days,
    cast(
        case
            when unreadable_days = 0
            then 0
            when 100 * unreadable_days >= context.unmapped_attendance_codes_percent * (recorded_days + unreadable_days)
            then 1
            else 0
        end as bigint
    ) as has_too_many_unreadable,
    cast(unreadable_days as bigint) as unreadable_days,
    cast(outside_days as bigint) as outside_days,
    cast(off_calendar_days as bigint) as off_calendar_days,
    cast(recorded_days as {{ type_double() }}) / nullif(expected_days, 0) as recorded_share,
    cast(unreadable_days as {{ type_double() }}) / nullif(recorded_days + unreadable_days, 0) as unreadable_share,
    cast(outside_days as {{ type_double() }}) / nullif(recorded_days + unreadable_days, 0) as outside_share,
    cast(students_not_recorded as bigint) as students_not_recorded,
    cast(students - students_not_recorded as bigint) as students_recorded,
    cast(students_unreadable as bigint) as students_unreadable,
    cast(students - students_unreadable as bigint) as students_readable,
    cast(students_outside as bigint) as students_outside,
    cast(students - students_outside as bigint) as students_inside
from school_year as fact
cross join {{ source("control", "run_context") }} as context
left join taken on fact.school_id = taken.school_id and fact.school_year = taken.school_year
left join silence on fact.school_id = silence.school_id and fact.school_year = silence.school_year
