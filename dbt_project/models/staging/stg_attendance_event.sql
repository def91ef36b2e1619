select
    mark.student_key,
    mark.school_id,
    cast(mark.date as date) as date,
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
            school_year=school_year_of(
                "cast(date as date)", "(select school_year_start from " ~ source("control", "run_context") ~ ")"
            ),
        )
    }} as category
    on lower(trim(mark.category)) = category.code
    and mark.school_id = category.code_school_id
    and {{
        school_year_of(
            "cast(mark.date as date)", "(select school_year_start from " ~ source("control", "run_context") ~ ")"
        )
    }} = category.code_school_year
where verdict = 'accepted'
