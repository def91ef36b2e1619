-- Students enrolled on one session day of the period or more. Status is that of the last such day.
select
    student_key,
    school_id as organization_id,
    school_year,
    'year' as period_type,
    cast(null as bigint) as profile_id,
    cast(1 as decimal(18, 4)) as numerator,
    cast(1 as decimal(18, 4)) as denominator,
    last_day as status_date,
    'enrolled' as universe_rule
from {{ ref("student_school_year") }}
union all
select
    student_key,
    school_id,
    school_year,
    'year_to_date',
    cast(null as bigint),
    cast(1 as decimal(18, 4)),
    cast(1 as decimal(18, 4)),
    last_day_to_date,
    'enrolled'
from {{ ref("student_school_year") }}
where last_day_to_date is not null
