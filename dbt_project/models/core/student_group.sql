-- Every group in full, whether anybody is in it or not: the listed values, and the crossed ones.
with
    listed as (
        select
            case when category = 'all' then 'all' else category || ':' || value end as student_group_id,
            category,
            label,
            sort_order
        from {{ ref("student_groups") }}
    )
select
    student_group_id,
    category,
    label,
    sort_order,
    false as is_intersection,
    cast(null as varchar) as component_groups,
    category not in ('all', 'race_in_combination') as is_partition
from listed
union all
select
    a.student_group_id || '+' || b.student_group_id as student_group_id,
    a.category || '+' || b.category as category,
    a.label || ', ' || b.label as label,
    1000 + a.sort_order * 1000 + b.sort_order as sort_order,
    true as is_intersection,
    a.student_group_id || ',' || b.student_group_id as component_groups,
    true as is_partition
from {{ source("control", "intersection") }} as crossed
inner join listed as a on crossed.category_a = a.category
inner join listed as b on crossed.category_b = b.category
