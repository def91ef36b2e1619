-- Attendance by school and month: what the calendar and the enrollment let expect, and what was recorded.
with
    student_month as (
        select
            school_id,
            school_year,
            cast({{ dbt.date_trunc("month", "date") }} as date) as period_start,
            student_key,
            sum(case when status in ('present', 'tardy', 'absent') then 1 else 0 end) as recorded_days,
            sum(case when status = 'not_taken' and is_settled then 1 else 0 end) as not_taken_days,
            sum(case when status = 'unknown' then 1 else 0 end) as unreadable_days,
            sum(
                case when status in ('present', 'tardy', 'absent') or (is_enrolled and is_settled) then 1 else 0 end
            ) as expected_days,
            sum(case when status <> 'not_taken' and not is_enrolled then 1 else 0 end) as outside_days,
            max(case when status in ('present', 'tardy', 'absent') then date end) as last_recorded
        from {{ ref("fct_student_daily_attendance") }}
        where is_session
        group by school_id, school_year, {{ dbt.date_trunc("month", "date") }}, student_key
    )
select
    school_id,
    school_year,
    period_start,
    cast(count(*) as bigint) as students,
    cast(sum(case when not_taken_days > 0 then 1 else 0 end) as bigint) as students_not_taken,
    cast(sum(case when outside_days > 0 then 1 else 0 end) as bigint) as students_outside,
    cast(sum(expected_days) as bigint) as expected_days,
    cast(sum(recorded_days) as bigint) as recorded_days,
    cast(sum(not_taken_days) as bigint) as not_taken_days,
    cast(sum(unreadable_days) as bigint) as unreadable_days,
    cast(sum(outside_days) as bigint) as outside_days,
    max(last_recorded) as last_recorded
from student_month
group by school_id, school_year, period_start
