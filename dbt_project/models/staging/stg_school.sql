select
    school_id,
    school_name,
    coalesce(level_meaning.meaning, 'unknown') as level,
    coalesce(nullif(school_type, ''), 'regular') as school_type,
    coalesce({{ read_boolean("is_charter") }}, false) as is_charter,
    coalesce({{ read_boolean("operated_by_district") }}, true) as operated_by_district,
    try_cast(opened as date) as opened,
    try_cast(closed as date) as closed
from {{ ref("stg_school__judged") }} as school
left join
    {{ meanings(ref("stg_school__judged"), "level", "school_level") }} as level_meaning
    on lower(trim(school.level)) = level_meaning.code
where verdict = 'accepted'
