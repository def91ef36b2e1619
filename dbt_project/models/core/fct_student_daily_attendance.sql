-- One row a student, school and session day: what was recorded, or that nothing was.
-- A recorded day counts where it was recorded, also outside an enrollment spell. Marks on days that are not session
-- days are kept with is_session false and count nowhere.
with
    mark as (
        select
            event.student_key,
            event.school_id,
            event.date,
            case
                when event.category in ('absent', 'absent_excused', 'absent_unexcused', 'absent_suspension')
                then 'absent'
                when event.category = 'partial'
                then case when event.fraction_absent is null then 'unknown' else 'present' end
                when event.category in ('present', 'tardy', 'not_taken')
                then event.category
                else 'unknown'
            end as status,
            case
                when event.category in ('absent', 'absent_excused', 'absent_unexcused', 'absent_suspension')
                then coalesce(event.fraction_absent, 1)
                when event.category in ('present', 'tardy')
                then coalesce(event.fraction_absent, 0)
                when event.category = 'partial'
                then event.fraction_absent
            end as fraction_absent,
            case
                event.category
                when 'absent_excused'
                then 'excused'
                when 'absent_unexcused'
                then 'unexcused'
                when 'absent_suspension'
                then 'suspension'
                when 'absent'
                then 'unknown'
            end as absence_type
        from {{ ref("stg_attendance_event") }} as event
        cross join {{ source("control", "run_context") }} as context
        where event.date <= context.as_of
    ),
    enrolled_day as (
        select spell.student_key, spell.school_id, day.date, spell.share_of_day, day.is_taken, day.attendance_records
        from {{ ref("fct_student_school_enrollment") }} as spell
        inner join
            {{ ref("attendance_school_day") }} as day
            on spell.school_id = day.school_id
            and day.date >= spell.entry_date
            and (spell.exit_date is null or day.date <= spell.exit_date)
    ),
    met as (
        select
            coalesce(mark.student_key, enrolled_day.student_key) as student_key,
            coalesce(mark.school_id, enrolled_day.school_id) as school_id,
            coalesce(mark.date, enrolled_day.date) as date,
            case
                when mark.student_key is not null
                then mark.status
                when enrolled_day.attendance_records = 'exceptions' and enrolled_day.is_taken
                then 'present'
                else 'not_taken'
            end as status,
            case
                when mark.student_key is not null
                then mark.fraction_absent
                when enrolled_day.attendance_records = 'exceptions' and enrolled_day.is_taken
                then 0
            end as fraction_absent,
            mark.absence_type,
            coalesce(enrolled_day.share_of_day, 1) as day_share,
            enrolled_day.student_key is not null as is_enrolled
        from enrolled_day
        full outer join
            mark
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
    cast(met.fraction_absent as decimal(9, 4)) as fraction_absent,
    met.absence_type,
    cast(met.day_share as decimal(9, 4)) as day_share,
    met.is_enrolled,
    day.date is not null as is_session,
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
