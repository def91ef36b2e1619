-- Days of a school's calendar, from the district's file and from `calendar:` in district.yaml.
select day.school_id, cast(day.date as date) as date, event.meaning as calendar_event
from {{ ref("stg_calendar_date__judged") }} as day
left join
    {{
        meanings(
            ref("stg_calendar_date__judged"),
            "calendar_event",
            "calendar_event",
            school="school_id",
            calendar="coalesce(calendar_id, '')",
        )
    }} as event
    on lower(trim(day.calendar_event)) = event.code
    and day.school_id = event.code_school_id
    and coalesce(day.calendar_id, '') = event.code_calendar_id
where verdict = 'accepted'
union all
select school_id, date, 'session' as calendar_event
from {{ source("control", "configured_session_day") }}
