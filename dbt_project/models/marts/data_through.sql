-- The last day that a figure speaks of: for attendance the last recorded day, for the rest the period's end or today.
with
    recorded as (
        select organization_id, school_year, max(date) as last_day
        from
            (
                select school_id as organization_id, school_year, date
                from {{ ref("attendance_school_day") }}
                where is_taken
                union all
                select context.district_id, day.school_year, day.date
                from {{ ref("attendance_school_day") }} as day
                cross join {{ source("control", "run_context") }} as context
                where day.is_taken
            ) as taken
        group by organization_id, school_year
    )
select
    domain_list.domain,
    period.organization_id,
    period.school_year,
    period.period_type,
    case
        when domain_list.domain = 'attendance'
        then case when recorded.last_day > period.period_end then period.period_end else recorded.last_day end
        when context.as_of < period.period_end
        then context.as_of
        else period.period_end
    end as data_through
from {{ ref("period") }} as period
cross join (select distinct domain from {{ ref("indicator") }}) as domain_list
cross join {{ source("control", "run_context") }} as context
left join recorded on period.organization_id = recorded.organization_id and period.school_year = recorded.school_year
