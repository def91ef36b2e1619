-- Schools' rows as they are, and the district's: from reliable schools only, each student once where the unit says so.
-- Of several schools' rows of one student, the one with the event speaks (the first event), else the latest status.
-- A count has no event: there the latest status speaks.
with
    indicator as (select indicator_id, unit, domain from {{ ref("indicator") }}),
    counted as (
        select
            measured.*,
            indicator.unit,
            indicator.unit <> 'count' and measured.numerator > 0 as has_event,
            unreliable.organization_id is null as is_reliable,
            measured.organization_id = context.district_id as is_district,
            context.district_id
        from {{ ref("student_indicator") }} as measured
        inner join indicator on measured.indicator_id = indicator.indicator_id
        cross join {{ source("control", "run_context") }} as context
        left join
            {{ ref("unreliable_school") }} as unreliable
            on indicator.domain = unreliable.domain
            and measured.organization_id = unreliable.organization_id
            and measured.school_year = unreliable.school_year
        where measured.denominator > 0
    ),
    once as (
        select
            counted.*,
            row_number() over (
                partition by indicator_id, school_year, period_type, student_key
                order by
                    case when has_event then 0 else 1 end,
                    case when has_event then status_date end,
                    status_date desc,
                    organization_id
            ) as place
        from counted
        where unit in ('student', 'count') and is_reliable and not is_district
    )
select indicator_id, organization_id, school_year, period_type, student_key, profile_id, numerator, denominator
from counted
where is_reliable
union all
select
    indicator_id,
    district_id,
    school_year,
    period_type,
    student_key,
    profile_id,
    cast(sum(numerator) as decimal(18, 4)),
    cast(sum(denominator) as decimal(18, 4))
from counted
where is_reliable and not is_district and unit not in ('student', 'count')
group by indicator_id, district_id, school_year, period_type, student_key, profile_id
union all
select indicator_id, district_id, school_year, period_type, student_key, profile_id, numerator, denominator
from once
where place = 1
