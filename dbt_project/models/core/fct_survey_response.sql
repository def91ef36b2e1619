-- One row an answer. A response that carries no student key stands for itself: its groups are unknown.
with home as (select survey_id, student_key, school_id from {{ ref("stg_survey_invitation") }})
select
    answer.survey_id,
    answer.response_key,
    answer.student_key,
    coalesce(answer.school_id, home.school_id) as school_id,
    {{ school_year_of("survey.opened", "context.school_year_start") }} as school_year,
    survey.universe,
    coalesce(answer.submitted, survey.closed) as submitted,
    answer.item_id,
    answer.construct,
    answer.answer,
    coalesce(questionnaire.is_counted, true) as is_counted
from {{ ref("stg_survey_response") }} as answer
inner join {{ ref("stg_survey") }} as survey on answer.survey_id = survey.survey_id
left join home on answer.survey_id = home.survey_id and answer.student_key = home.student_key
left join
    {{ ref("stg_survey_questionnaire") }} as questionnaire
    on answer.survey_id = questionnaire.survey_id
    and answer.response_key = questionnaire.response_key
cross join {{ source("control", "run_context") }} as context
where survey.opened <= context.as_of
