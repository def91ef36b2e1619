-- Spells, each with the calendar that it is under.
select
    spell.student_key,
    spell.school_id,
    spell.entry_date,
    spell.exit_date,
    spell.share_of_day,
    spell.calendar_id,
    calendar.session_calendar_no
from {{ ref("fct_student_school_enrollment") }} as spell
inner join
    {{ ref("session_calendar") }} as calendar
    on spell.school_id = calendar.school_id
    and coalesce(spell.calendar_id, '') = calendar.calendar_id
    and spell.grade = calendar.grade
