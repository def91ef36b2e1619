-- A category adds up to `all`: numerators and denominators of its groups against the whole, in exact decimals.
with
    summed as (
        select
            cell.indicator_id,
            cell.organization_id,
            cell.school_year,
            cell.period_type,
            student_group.category,
            sum(cell.numerator) as numerator,
            sum(cell.denominator) as denominator
        from {{ ref("indicator_cell") }} as cell
        inner join {{ ref("student_group") }} as student_group on cell.student_group_id = student_group.student_group_id
        where student_group.is_partition
        group by cell.indicator_id, cell.organization_id, cell.school_year, cell.period_type, student_group.category
    )
select
    summed.indicator_id,
    summed.category,
    cast(count(*) as bigint) as totals,
    cast(
        sum(
            case when summed.numerator = whole.numerator and summed.denominator = whole.denominator then 0 else 1 end
        ) as bigint
    ) as unequal
from summed
inner join
    {{ ref("indicator_cell") }} as whole
    on summed.indicator_id = whole.indicator_id
    and summed.organization_id = whole.organization_id
    and summed.school_year = whole.school_year
    and summed.period_type = whole.period_type
    and whole.student_group_id = 'all'
group by summed.indicator_id, summed.category
