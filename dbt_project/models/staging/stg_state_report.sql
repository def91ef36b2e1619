-- Figures that the state published, one row each. What is masked is null and keeps its mark: never a number, never
-- lost.
select
    state_organization_id,
    lower(trim(organization_level)) as organization_level,
    cast(school_year as bigint) as school_year,
    indicator as indicator_code,
    indicator_meaning.meaning as indicator_id,
    student_group as student_group_code,
    group_meaning.meaning as student_group_id,
    cast(nullif(numerator, '') as decimal(18, 4)) as numerator,
    cast(nullif(denominator, '') as decimal(18, 4)) as denominator,
    cast(nullif(rate, '') as decimal(18, 4)) as rate,
    cast(length(split_part(nullif(trim(rate), ''), '.', 2)) as bigint) as rate_decimals,
    coalesce(rate_unit, '') as rate_unit,
    nullif(trim(mask), '') as mask
from {{ ref("stg_state_report__judged") }} as report
left join
    {{ meanings(ref("stg_state_report__judged"), "indicator", "state_indicator") }} as indicator_meaning
    on {{ same_meaning("indicator_meaning", "report.indicator") }}
left join
    {{ meanings(ref("stg_state_report__judged"), "student_group", "state_student_group") }} as group_meaning
    on {{ same_meaning("group_meaning", "report.student_group") }}
where verdict = 'accepted'
