-- The periods of each organization. year_to_date cuts every earlier year at the same instructional day as the current
-- one.
with
    current_year as (select max(school_year) as school_year from {{ ref("session_day") }} where is_elapsed),
    elapsed as (
        select session_day.school_id, count(*) as sessions
        from {{ ref("session_day") }} as session_day
        cross join current_year
        where session_day.is_elapsed and session_day.school_year = current_year.school_year
        group by session_day.school_id
    ),
    most_elapsed as (select max(sessions) as sessions from elapsed),
    school_year_end as (
        select
            day.school_id,
            day.school_year,
            max(day.date) as last_session,
            max(
                case when day.session_number <= coalesce(elapsed.sessions, most_elapsed.sessions) then day.date end
            ) as year_to_date_end,
            max(case when day.is_elapsed then 0 else 1 end) = 0 as is_over
        from {{ ref("session_day") }} as day
        cross join current_year
        cross join most_elapsed
        left join elapsed on day.school_id = elapsed.school_id
        where day.school_year <= current_year.school_year
        group by day.school_id, day.school_year
    ),
    organization_year as (
        select school_id as organization_id, school_year, last_session, year_to_date_end, is_over
        from school_year_end
        union all
        select
            context.district_id,
            school_year,
            max(last_session),
            max(year_to_date_end),
            min(case when is_over then 1 else 0 end) = 1
        from school_year_end
        cross join {{ source("control", "run_context") }} as context
        group by context.district_id, school_year
    )
select
    organization_id,
    organization_year.school_year,
    'year' as period_type,
    school_year.starts_on as period_start,
    last_session as period_end,
    is_over as is_complete
from organization_year
inner join
    {{ source("control", "school_year") }} as school_year on organization_year.school_year = school_year.school_year
union all
select
    organization_id,
    organization_year.school_year,
    'year_to_date' as period_type,
    school_year.starts_on as period_start,
    year_to_date_end as period_end,
    is_over as is_complete
from organization_year
inner join
    {{ source("control", "school_year") }} as school_year on organization_year.school_year = school_year.school_year
