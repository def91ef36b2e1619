-- A school under a new id has its new row where it has one, else what its old id said.
select
    {{ school_on("succession", "school.school_id", "''") }} as school_id,
    school_name,
    coalesce(level_meaning.meaning, 'unknown') as level,
    coalesce(nullif(school_type, ''), 'regular') as school_type,
    coalesce({{ read_boolean("is_charter") }}, false) as is_charter,
    coalesce({{ read_boolean("operated_by_district") }}, true) as operated_by_district,
    try_cast(opened as date) as opened,
    try_cast(closed as date) as closed
from {{ ref("stg_school__judged") }} as school
left join
    {{ meanings(ref("stg_school__judged"), "level", "school_level", school="school_id") }} as level_meaning
    on {{ same_meaning("level_meaning", "school.level", school="school.school_id") }}
left join {{ ref("stg_school_succession") }} as succession on school.school_id = succession.school_id
where verdict = 'accepted'
qualify
    row_number() over (
        partition by {{ school_on("succession", "school.school_id", "''") }}
        order by school.school_id = {{ school_on("succession", "school.school_id", "''") }} desc, school.school_id desc
    )
    = 1
