-- Rates that are not numbers, or outside their indicator's range; numerators above their denominators.
select
    fact.indicator_id,
    cast(count(*) as bigint) as figures,
    cast(
        sum(
            case
                when fact.rate is not null and not (fact.rate >= indicator.rate_min and fact.rate <= indicator.rate_max)
                then 1
                when fact.rate is null and fact.status in ('published', 'below_minimum_n') and indicator.unit <> 'count'
                then 1
                when fact.rate_low > fact.rate or fact.rate_high < fact.rate
                then 1
                when fact.rate_low < indicator.rate_min or fact.rate_high > indicator.rate_max
                then 1
                else 0
            end
        ) as bigint
    ) as impossible
from {{ ref("indicator_by_group") }} as fact
inner join {{ ref("indicator") }} as indicator on fact.indicator_id = indicator.indicator_id
group by fact.indicator_id
