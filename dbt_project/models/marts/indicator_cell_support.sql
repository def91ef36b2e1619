-- How many students stand behind each cell: what disclosure control decides by.
select
    fact.school_year,
    fact.period_type,
    fact.period_start,
    fact.organization_id,
    fact.indicator_id,
    fact.student_group_id,
    cell.students_numerator,
    cell.students_difference,
    cell.students as students_denominator
from {{ ref("indicator_by_group") }} as fact
inner join
    {{ ref("indicator_cell") }} as cell
    on fact.indicator_id = cell.indicator_id
    and fact.organization_id = cell.organization_id
    and fact.school_year = cell.school_year
    and fact.period_type = cell.period_type
    and fact.student_group_id = cell.student_group_id
where fact.status in ('published', 'below_minimum_n')
