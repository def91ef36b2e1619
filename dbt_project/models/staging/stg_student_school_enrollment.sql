-- A spell that an active-only extract no longer holds ended, as far as anyone knows, with the last file that held it.
select
    student_key,
    spell.school_id,
    cast(entry_date as date) as entry_date,
    coalesce(
        try_cast(nullif(exit_date, '') as date),
        case when missing_rows = 'active_only' and delivery_no < newest_delivery_no then delivered_on end
    ) as exit_date,
    coalesce(exit_date, '') = ''
    and missing_rows = 'active_only'
    and delivery_no < newest_delivery_no as is_exit_inferred,
    coalesce(grade_meaning.meaning, 'unknown') as grade,
    case when coalesce(enrollment_type, '') = '' then 'home' else type_meaning.meaning end as enrollment_type,
    cast(coalesce(try_cast(nullif(share_of_day, '') as decimal(9, 4)), 1) as decimal(9, 4)) as share_of_day,
    nullif(responsible_school_id, '') as responsible_school_id
from {{ ref("stg_student_school_enrollment__judged") }} as spell
left join
    {{
        meanings(
            ref("stg_student_school_enrollment__judged"),
            "grade",
            "grade",
            school="school_id",
            calendar="coalesce(calendar_id, '')",
        )
    }} as grade_meaning
    on lower(trim(spell.grade)) = grade_meaning.code
    and spell.school_id = grade_meaning.code_school_id
    and coalesce(spell.calendar_id, '') = grade_meaning.code_calendar_id
left join
    {{ meanings(ref("stg_student_school_enrollment__judged"), "enrollment_type", "enrollment_type") }} as type_meaning
    on lower(trim(spell.enrollment_type)) = type_meaning.code
where verdict = 'accepted'
