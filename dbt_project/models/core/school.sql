-- Every school that the district lists, and every school id that any record names: nothing is dropped for want of a
-- listing.
with
    named as (
        select distinct school_id
        from {{ ref("stg_student_school_enrollment") }}
        union
        select distinct school_id
        from {{ ref("stg_attendance_event") }}
        union
        select distinct school_id
        from {{ ref("stg_discipline_action") }}
    )
select school_id, school_name, level, school_type, is_charter, operated_by_district, opened, closed, true as is_listed
from {{ ref("stg_school") }}
union all
select
    named.school_id,
    named.school_id as school_name,
    'unknown' as level,
    'unknown' as school_type,
    false as is_charter,
    true as operated_by_district,
    cast(null as date) as opened,
    cast(null as date) as closed,
    false as is_listed
from named
left join {{ ref("stg_school") }} as listed on named.school_id = listed.school_id
where listed.school_id is null
