-- Every school that the district lists, and every school id that any record names: nothing is dropped for want of a
-- listing. A school that became a part of another closed the day before, unless the list says otherwise.
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
    ),
    known as (
        select
            school_id,
            school_name,
            level,
            school_type,
            is_charter,
            operated_by_district,
            opened,
            closed,
            true as is_listed
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
    )
select
    known.school_id,
    known.school_name,
    known.level,
    known.school_type,
    known.is_charter,
    known.operated_by_district,
    known.opened,
    coalesce(known.closed, {{ day_before("merger.merged_on") }}) as closed,
    known.is_listed,
    merger.merged_on,
    merger.successor_school_id
from known
left join {{ ref("stg_school_merger") }} as merger on known.school_id = merger.school_id
