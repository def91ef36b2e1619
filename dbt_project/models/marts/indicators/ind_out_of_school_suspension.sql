-- Students with one out-of-school suspension or more, over students enrolled or suspended at the school in the period.
-- Status is that of the first suspension, else of the last enrolled day.
with
    suspended as (
        select
            action.student_key,
            action.school_id,
            action.school_year,
            period.period_type,
            min(action.date) as first_suspension
        from {{ ref("fct_student_discipline_action") }} as action
        inner join
            {{ ref("period") }} as period
            on action.school_id = period.organization_id
            and action.school_year = period.school_year
            and action.date <= period.period_end
        where action.action = 'out_of_school_suspension'
        group by action.student_key, action.school_id, action.school_year, period.period_type
    ),
    enrolled as (
        select student_key, organization_id as school_id, school_year, period_type, status_date
        from {{ ref("ind_enrollment") }}
    )
select
    coalesce(enrolled.student_key, suspended.student_key) as student_key,
    coalesce(enrolled.school_id, suspended.school_id) as organization_id,
    coalesce(enrolled.school_year, suspended.school_year) as school_year,
    coalesce(enrolled.period_type, suspended.period_type) as period_type,
    cast(null as bigint) as profile_id,
    cast(case when suspended.student_key is null then 0 else 1 end as decimal(18, 4)) as numerator,
    cast(1 as decimal(18, 4)) as denominator,
    coalesce(suspended.first_suspension, enrolled.status_date) as status_date,
    case when enrolled.student_key is null then 'not_enrolled_there' else 'enrolled' end as universe_rule
from enrolled
full outer join
    suspended
    on enrolled.student_key = suspended.student_key
    and enrolled.school_id = suspended.school_id
    and enrolled.school_year = suspended.school_year
    and enrolled.period_type = suspended.period_type
