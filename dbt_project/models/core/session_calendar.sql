-- Which calendar a school, a calendar id and a grade lead to. A calendar id or a grade that no calendar row names is as
-- good as none. A school without enrollments has its own calendar all the same.
with
    enrolled as (
        select distinct school_id, coalesce(calendar_id, '') as calendar_id, grade
        from {{ ref("fct_student_school_enrollment") }}
    ),
    asked as (
        select school_id, calendar_id, grade
        from enrolled
        union all
        select known.school_id, '' as calendar_id, 'unknown' as grade
        from
            (
                select school_id
                from {{ ref("school") }}
                union
                select school_id
                from {{ ref("stg_calendar_date") }}
                where school_id <> 'all'
            ) as known
        left join (select distinct school_id from enrolled) as attended on known.school_id = attended.school_id
        where attended.school_id is null
    ),
    named_calendar as (
        select distinct school_id, calendar_id from {{ ref("stg_calendar_date") }} where calendar_id <> ''
    ),
    named_grade as (
        select distinct school_id, grade
        from {{ ref("stg_calendar_date") }}
        where grade not in ('', 'unknown', 'unmapped')
    ),
    applied as (
        select
            asked.school_id,
            asked.calendar_id,
            asked.grade,
            coalesce(own_calendar.calendar_id, district_calendar.calendar_id, '') as applied_calendar_id,
            coalesce(own_grade.grade, district_grade.grade, '') as applied_grade
        from asked
        left join
            named_calendar as own_calendar
            on asked.school_id = own_calendar.school_id
            and asked.calendar_id = own_calendar.calendar_id
        left join
            (select calendar_id from named_calendar where school_id = 'all') as district_calendar
            on asked.calendar_id = district_calendar.calendar_id
        left join named_grade as own_grade on asked.school_id = own_grade.school_id and asked.grade = own_grade.grade
        left join
            (select grade from named_grade where school_id = 'all') as district_grade
            on asked.grade = district_grade.grade
    )
select
    school_id,
    calendar_id,
    grade,
    applied_calendar_id,
    applied_grade,
    dense_rank() over (order by school_id, applied_calendar_id, applied_grade) as session_calendar_no
from applied
