-- One row a student, organization, year, period and indicator, with the universe rule that applied. Restricted.
select
    student_key,
    organization_id,
    school_year,
    period_type,
    indicator_id,
    cast(sum(numerator) as {{ type_double() }}) as numerator,
    cast(sum(denominator) as {{ type_double() }}) as denominator,
    min(universe_rule) as universe_rule
from {{ ref("student_indicator") }}
group by student_key, organization_id, school_year, period_type, indicator_id
