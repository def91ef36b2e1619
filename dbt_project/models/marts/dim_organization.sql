select
    context.load_id,
    school.school_id as organization_id,
    school.school_name as name,
    'school' as type,
    school.level,
    school.school_type,
    school.is_charter,
    school.operated_by_district,
    school.opened,
    school.closed,
    true as counted_in_district,
    case
        when school.merged_on <= context.as_of
        then
            'Became a part of '
            || coalesce(successor.school_name, school.successor_school_id)
            || '; its earlier days count here.'
        when not school.is_listed
        then 'Named by records but not listed by the district; counted where it was recorded.'
        when not school.operated_by_district
        then 'Students placed there belong to the district.'
        else 'Operated by the district.'
    end as counted_in_district_reason,
    context.district_id as parent
from {{ ref("school") }} as school
left join {{ ref("school") }} as successor on school.successor_school_id = successor.school_id
cross join {{ source("control", "run_context") }} as context
union all
select
    load_id,
    district_id,
    district_name,
    'district',
    'district',
    'district',
    false,
    true,
    cast(null as date),
    cast(null as date),
    true,
    'The district itself.',
    cast(null as varchar)
from {{ source("control", "run_context") }}
