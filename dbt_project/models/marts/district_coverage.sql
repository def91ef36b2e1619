-- Share of each group's students (a student and school counted together) at schools whose data is relied on.
with
    domain_list as (select distinct domain from {{ ref("indicator") }}),
    school_cell as (
        select cell.organization_id, cell.school_year, cell.period_type, cell.student_group_id, cell.students
        from {{ ref("indicator_cell") }} as cell
        cross join {{ source("control", "run_context") }} as context
        where cell.indicator_id = 'enrollment' and cell.organization_id <> context.district_id
    )
select
    domain_list.domain,
    school_cell.school_year,
    school_cell.period_type,
    school_cell.student_group_id,
    cast(sum(case when unreliable.organization_id is null then school_cell.students else 0 end) as {{ type_double() }})
    / nullif(sum(school_cell.students), 0) as coverage
from school_cell
cross join domain_list
left join
    {{ ref("unreliable_school") }} as unreliable
    on domain_list.domain = unreliable.domain
    and school_cell.organization_id = unreliable.organization_id
    and school_cell.school_year = unreliable.school_year
group by domain_list.domain, school_cell.school_year, school_cell.period_type, school_cell.student_group_id
