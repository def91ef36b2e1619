select
    mark.student_key,
    coalesce(mark.answering_id, mark.school_id) as school_id,
    cast(mark.date as date) as date,
    lower(mark.period) as period,
    category.meaning as category,
    try_cast(nullif(mark.fraction_absent, '') as decimal(9, 4)) as fraction_absent,
    mark.file_no
from {{ ref("stg_attendance_event__judged") }} as mark
left join
    {{
        meanings(
            ref("stg_attendance_event__judged"),
            "category",
            "attendance_category",
            school="school_id",
            school_year=coded_year("cast(date as date)"),
            calendar="calendar_id",
        )
    }} as category
    on {{
        same_meaning(
            "category",
            "mark.category",
            school="mark.school_id",
            school_year=coded_year("cast(mark.date as date)"),
            calendar="mark.calendar_id",
        )
    }}
where verdict = 'accepted'
