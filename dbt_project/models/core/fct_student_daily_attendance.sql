-- One row a student, school and session day: what was recorded, or that nothing was.
-- A recorded day counts where it was recorded, also outside an enrollment spell. Marks on days that are not session
-- days are kept with is_session false and count nowhere: by the student's own calendar where the student is enrolled,
-- else by any of the school's.
with
    school_day as (
        select
            calendar.session_calendar_no,
            calendar.date,
            calendar.is_session,
            calendar.session_share,
            calendar.session_minutes,
            day.is_taken,
            day.attendance_records
        from {{ ref("session_calendar_day") }} as calendar
        inner join
            {{ ref("attendance_school_day") }} as day on calendar.school_id = day.school_id and calendar.date = day.date
    ),
    enrolled_day as (
        select
            spell.student_key,
            spell.school_id,
            day.date,
            spell.share_of_day,
            day.is_session,
            day.session_share,
            day.session_minutes,
            case
                when not day.is_session
                then null
                when day.attendance_records = 'exceptions' and day.is_taken
                then 'present'
                else 'not_taken'
            end as silence
        from {{ ref("enrollment_calendar") }} as spell
        inner join
            school_day as day
            on spell.session_calendar_no = day.session_calendar_no
            and day.date >= spell.entry_date
            and (spell.exit_date is null or day.date <= spell.exit_date)
    ),
    met as (
        select
            coalesce(mark.student_key, enrolled_day.student_key) as student_key,
            coalesce(mark.school_id, enrolled_day.school_id) as school_id,
            coalesce(mark.date, enrolled_day.date) as date,
            coalesce(mark.status, enrolled_day.silence) as status,
            case
                when mark.student_key is not null then mark.fraction_absent when enrolled_day.silence = 'present' then 0
            end as fraction_absent,
            mark.absence_type,
            coalesce(enrolled_day.share_of_day, 1) as day_share,
            enrolled_day.session_share,
            enrolled_day.session_minutes,
            enrolled_day.student_key is not null as is_enrolled,
            enrolled_day.is_session
        from enrolled_day
        full outer join
            {{ ref("attendance_mark") }} as mark
            on enrolled_day.student_key = mark.student_key
            and enrolled_day.school_id = mark.school_id
            and enrolled_day.date = mark.date
    )
select
    met.student_key,
    met.school_id,
    {{ school_year_of("met.date", "context.school_year_start") }} as school_year,
    met.date,
    met.status,
    cast(met.fraction_absent as decimal(9, 8)) as fraction_absent,
    met.absence_type,
    cast(met.day_share as decimal(9, 4)) as day_share,
    met.session_share,
    met.session_minutes,
    met.is_enrolled,
    coalesce(met.is_session, day.date is not null) as is_session,
    met.date <= context.attendance_settled_on as is_settled,
    coalesce(met.date <= period.period_end, false) as is_year_to_date,
    history.profile_id
from met
cross join {{ source("control", "run_context") }} as context
inner join
    {{ ref("dim_student_history") }} as history
    on met.student_key = history.student_key
    and met.date between history.valid_from and history.valid_to
left join {{ ref("session_day") }} as day on met.school_id = day.school_id and met.date = day.date
left join
    {{ ref("period") }} as period
    on met.school_id = period.organization_id
    and day.school_year = period.school_year
    and period.period_type = 'year_to_date'
-- Neither in session for this student nor marked: a day of another calendar of the school.
where met.status is not null
