-- What the state published of this district and its schools, beside the district's own figure of the whole year.
-- Equality is judged at the decimals that the state printed, in whole numbers. Before disclosure control: restricted,
-- not for release.
with
    beside as (
        select
            own.load_id,
            figure.school_year,
            figure.organization_id,
            figure.indicator_id,
            figure.student_group_id,
            indicator.unit,
            figure.numerator,
            figure.rate,
            figure.per,
            figure.steps,
            case when indicator.unit = 'count' then own.numerator else own.rate end as own_value,
            cast(
                case
                    when indicator.unit = 'count' then figure.numerator else figure.rate / figure.per
                end as {{ type_double() }}
            ) as state_value,
            cast(cast(own.numerator as decimal(18, 4)) * 10000 as bigint) as own_over,
            cast(cast(own.denominator as decimal(18, 4)) * 10000 as bigint) as own_under,
            own.coverage
        from {{ ref("state_figure") }} as figure
        inner join {{ ref("indicator") }} as indicator on figure.indicator_id = indicator.indicator_id
        inner join
            {{ ref("indicator_by_group") }} as own
            on figure.school_year = own.school_year
            and figure.organization_id = own.organization_id
            and figure.indicator_id = own.indicator_id
            and figure.student_group_id = own.student_group_id
            and own.period_type = 'year'
    )
select
    load_id,
    school_year,
    organization_id,
    indicator_id,
    student_group_id,
    own_value,
    state_value,
    own_value - state_value as difference,
    case
        when own_value is null
        then 'own_not_published'
        when state_value is null
        then 'hidden_by_state'
        when unit = 'count' and own_over = cast(numerator * 10000 as bigint)
        then 'equal'
        when unit <> 'count' and {{ half_up("own_over", "own_under", "per * steps") }} = cast(rate * steps as bigint)
        then 'equal_after_rounding'
        when coverage < 1
        then 'own_leaves_out_schools'
        else 'not_explained'
    end as explained_by
from beside
