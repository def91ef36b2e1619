-- Which of the state's figures are about this district and its schools, one for each organization, year, indicator and
-- group. Where two of the state's codes mean the same figure, the first by code is taken. steps: how many steps of the
-- last decimal that the state printed make one; four decimals are enough for any.
with
    found as (
        select
            report.school_year,
            case
                when report.organization_level = 'district' then context.district_id else school.school_id
            end as organization_id,
            report.indicator_id,
            report.student_group_id,
            report.numerator,
            report.rate,
            case report.rate_unit when 'percent' then 100 else 1 end as per,
            case
                least(coalesce(report.rate_decimals, 0), 4)
                when 0
                then 1
                when 1
                then 10
                when 2
                then 100
                when 3
                then 1000
                else 10000
            end as steps,
            row_number() over (
                partition by
                    report.school_year,
                    report.organization_level,
                    report.state_organization_id,
                    report.indicator_id,
                    report.student_group_id
                order by report.indicator_code, report.student_group_code
            ) as place
        from {{ ref("stg_state_report") }} as report
        cross join {{ source("control", "run_context") }} as context
        left join
            {{ ref("school") }} as school
            on case when report.organization_level = 'school' then report.state_organization_id end = school.school_id
        where
            (report.organization_level = 'district' and report.state_organization_id = context.state_district_id)
            or school.school_id is not null
    )
select school_year, organization_id, indicator_id, student_group_id, numerator, rate, per, steps
from found
where place = 1
