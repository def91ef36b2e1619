select
    survey_id,
    response_key,
    student_key,
    nullif(school_id, '') as school_id,
    try_cast(nullif(submitted, '') as date) as submitted,
    item_id,
    lower(trim(construct)) as construct,
    answer_meaning.meaning as answer
from {{ ref("stg_survey_response__judged") }} as response
left join
    {{ meanings(ref("stg_survey_response__judged"), "answer", "survey_answer") }} as answer_meaning
    on lower(trim(response.answer)) = answer_meaning.code
where verdict = 'accepted'
