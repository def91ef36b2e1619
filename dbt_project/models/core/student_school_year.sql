-- One row a student, school and school year with a session day of membership or more, up to the as-of date.
select
    spell.student_key,
    spell.school_id,
    day.school_year,
    min(day.date) as first_day,
    max(day.date) as last_day,
    count(*) as session_days,
    min(case when day.date <= period.period_end then day.date end) as first_day_to_date,
    max(case when day.date <= period.period_end then day.date end) as last_day_to_date
from {{ ref("enrollment_calendar") }} as spell
inner join
    {{ ref("session_calendar_day") }} as day
    on spell.session_calendar_no = day.session_calendar_no
    and day.date >= spell.entry_date
    and (spell.exit_date is null or day.date <= spell.exit_date)
inner join
    {{ ref("period") }} as period
    on day.school_id = period.organization_id
    and day.school_year = period.school_year
    and period.period_type = 'year_to_date'
where day.is_elapsed and day.is_session
group by spell.student_key, spell.school_id, day.school_year
