-- Spells. A later spell at the same school ends the earlier one, so that no day belongs to a student and school twice.
with
    followed as (
        select spell.*, lead(entry_date) over (partition by student_key, school_id order by entry_date) as next_entry
        from {{ ref("stg_student_school_enrollment") }} as spell
    )
select
    student_key,
    school_id,
    entry_date,
    case
        when next_entry is not null and (exit_date is null or exit_date >= next_entry)
        then {{ day_before("next_entry") }}
        else exit_date
    end as exit_date,
    is_exit_inferred,
    grade,
    calendar_id,
    enrollment_type,
    share_of_day,
    responsible_school_id
from followed
