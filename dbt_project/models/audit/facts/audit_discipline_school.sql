-- Discipline actions by school and year, for the gate: those whose code no crosswalk knows count as no removal of any
-- kind.
with
    counted as (
        select
            school_id,
            school_year,
            count(*) as actions,
            sum(case when action = 'unmapped' then 1 else 0 end) as unmapped_actions,
            count(distinct student_key) as students,
            count(distinct case when action = 'unmapped' then student_key end) as students_unmapped
        from {{ ref("fct_student_discipline_action") }}
        group by school_id, school_year
    )
select
    counted.school_id as organization_id,
    counted.school_year,
    cast(counted.actions as bigint) as actions,
    cast(
        case
            when counted.unmapped_actions = 0
            then 0
            when 100 * counted.unmapped_actions >= context.unmapped_discipline_codes_percent * counted.actions
            then 1
            else 0
        end as bigint
    ) as has_too_many_unmapped,
    cast(counted.unmapped_actions as {{ type_double() }}) / nullif(counted.actions, 0) as unmapped_share,
    cast(counted.students_unmapped as bigint) as students_unmapped,
    cast(counted.students - counted.students_unmapped as bigint) as students_mapped
from counted
cross join {{ source("control", "run_context") }} as context
