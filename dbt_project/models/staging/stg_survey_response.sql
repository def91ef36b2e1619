with response as ({{ coded_rows("survey_response") }})
select
    survey_id,
    response_key,
    student_key,
    {{ school_on("succession", "nullif(response.school_id, '')", "cast(response.coded_on as varchar)") }} as school_id,
    try_cast(nullif(submitted, '') as date) as submitted,
    item_id,
    lower(trim(construct)) as construct,
    case
        when {{ read_boolean("response.is_reversed") }} and answer_meaning.meaning = 'favorable'
        then 'unfavorable'
        when {{ read_boolean("response.is_reversed") }} and answer_meaning.meaning = 'unfavorable'
        then 'favorable'
        else answer_meaning.meaning
    end as answer
from response
left join
    {{ meanings("response", "answer", "survey_answer", school="school_id", school_year=coded_year("coded_on")) }}
    as answer_meaning
    on {{
        same_meaning(
            "answer_meaning",
            "response.answer",
            school="response.school_id",
            school_year=coded_year("response.coded_on"),
        )
    }}
left join {{ ref("stg_school_succession") }} as succession on response.school_id = succession.school_id
