-- Days of a school's calendar, from the district's file and from `calendar:` in district.yaml. calendar_id '' is no
-- calendar in particular, grade '' every grade.
select
    coalesce(day.answering_id, day.school_id) as school_id,
    day.calendar_id,
    case when day.grade = '' then '' else grade_meaning.meaning end as grade,
    cast(day.date as date) as date,
    event.meaning as calendar_event,
    try_cast(nullif(day.share_of_day, '') as decimal(9, 4)) as share_of_day,
    try_cast(nullif(day.minutes, '') as integer) as minutes
from {{ ref("stg_calendar_date__judged") }} as day
left join
    {{
        meanings(
            ref("stg_calendar_date__judged"),
            "calendar_event",
            "calendar_event",
            school="school_id",
            school_year=coded_year("cast(date as date)"),
            calendar="calendar_id",
        )
    }} as event
    on {{
        same_meaning(
            "event",
            "day.calendar_event",
            school="day.school_id",
            school_year=coded_year("cast(day.date as date)"),
            calendar="day.calendar_id",
        )
    }}
left join
    {{
        meanings(
            ref("stg_calendar_date__judged"),
            "grade",
            "grade",
            school="school_id",
            school_year=coded_year("cast(date as date)"),
            calendar="calendar_id",
        )
    }} as grade_meaning
    on {{
        same_meaning(
            "grade_meaning",
            "day.grade",
            school="day.school_id",
            school_year=coded_year("cast(day.date as date)"),
            calendar="day.calendar_id",
        )
    }}
where verdict = 'accepted'
union all
select
    {{ school_on("succession", "configured.school_id", "cast(configured.date as varchar)") }} as school_id,
    configured.calendar_id,
    configured.grade,
    configured.date,
    configured.calendar_event,
    configured.share_of_day,
    configured.minutes
from {{ source("control", "configured_calendar_date") }} as configured
left join {{ ref("stg_school_succession") }} as succession on configured.school_id = succession.school_id
