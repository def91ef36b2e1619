-- Days on which a student has a row at more than one school (half days here and there, or a mark where the enrollment
-- is
-- not), one row a student and day: recorded when any school recorded it, absent when half or more of what was
-- recorded was
-- missed. So a day never counts twice, and a student who was marked elsewhere did not vanish.
with
    at_school as (
        select student_key, school_id
        from {{ ref("fct_student_daily_attendance") }}
        where is_session
        group by student_key, school_id
    ),
    at_several as (select student_key from at_school group by student_key having count(*) > 1),
    part as (
        select
            day.student_key,
            day.school_year,
            day.date,
            day.is_year_to_date,
            day.day_share,
            day.fraction_absent,
            unreliable.organization_id is null and day.status in ('present', 'tardy', 'absent') as is_recorded,
            unreliable.organization_id is null and day.is_enrolled and day.is_settled as is_expected
        from {{ ref("fct_student_daily_attendance") }} as day
        inner join at_several on day.student_key = at_several.student_key
        left join
            (
                select organization_id, school_year from {{ ref("unreliable_school") }} where domain = 'attendance'
            ) as unreliable
            on day.school_id = unreliable.organization_id
            and day.school_year = unreliable.school_year
        where day.is_session
    ),
    merged as (
        select
            student_key,
            school_year,
            date,
            max(case when is_year_to_date then 1 else 0 end) = 1 as is_year_to_date,
            max(case when is_recorded then 1 else 0 end) as recorded_days,
            max(case when is_recorded or is_expected then 1 else 0 end) as expected_days,
            sum(case when is_recorded then day_share * fraction_absent else 0 end) as share_absent,
            sum(case when is_recorded then day_share else 0 end) as share_recorded
        from part
        group by student_key, school_year, date
        having count(*) > 1
    )
select
    student_key,
    school_year,
    date,
    is_year_to_date,
    cast(recorded_days as bigint) as recorded_days,
    cast(case when recorded_days = 1 and 2 * share_absent >= share_recorded then 1 else 0 end as bigint) as absent_days,
    cast(expected_days as bigint) as expected_days
from merged
