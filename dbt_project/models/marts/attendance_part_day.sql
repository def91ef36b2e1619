-- Days that a student shares between schools, one row a student and day: half a day here and half a day there are one
-- day, recorded when any part was, and absent when half or more of the recorded parts was missed.
with
    part as (
        select day.*, day.status in ('present', 'tardy', 'absent') as is_recorded
        from {{ ref("fct_student_daily_attendance") }} as day
        left join
            (select organization_id, school_year from {{ ref("unreliable_school") }} where domain = 'attendance') as unreliable
            on day.school_id = unreliable.organization_id
            and day.school_year = unreliable.school_year
        where day.is_session and day.day_share < 1 and unreliable.organization_id is null
    )
select
    student_key,
    school_year,
    date,
    max(case when is_year_to_date then 1 else 0 end) = 1 as is_year_to_date,
    cast(max(case when is_recorded then 1 else 0 end) as bigint) as recorded_days,
    cast(
        case
            when
                2 * sum(case when is_recorded then day_share * fraction_absent else 0 end)
                >= sum(case when is_recorded then day_share else 0 end)
                and max(case when is_recorded then 1 else 0 end) = 1
            then 1
            else 0
        end as bigint
    ) as absent_days,
    cast(max(case when is_recorded or (is_enrolled and is_settled) then 1 else 0 end) as bigint) as expected_days
from part
group by student_key, school_year, date
