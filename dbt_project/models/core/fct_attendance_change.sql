-- Marks that changed on a day that was published before: corrected, added late or deleted. Where there is no mark, the
-- status is what silence means in that source.
select
    student_key,
    school_id,
    date,
    period,
    source_id,
    changed_on,
    lag_days,
    was_category as from_category,
    case
        when was_category is not null
        then {{ mark_status("was_category", "was_fraction_absent") }}
        when attendance_records = 'exceptions'
        then 'present'
        else 'not_taken'
    end as from_status,
    was_fraction_absent as from_fraction_absent,
    is_category as to_category,
    case
        when is_category is not null
        then {{ mark_status("is_category", "is_fraction_absent") }}
        when attendance_records = 'exceptions'
        then 'present'
        else 'not_taken'
    end as to_status,
    is_fraction_absent as to_fraction_absent
from {{ ref("stg_attendance_change") }}
