-- A questionnaire counts unless its tool says that it was not finished, or that nobody in particular filled it in. Of
-- a student's several to one survey the last that counts does; without a student each stands for itself.
with
    questionnaire as (
        select
            survey_id,
            response_key,
            student_key,
            nullif(school_id, '') as school_id,
            try_cast(nullif(started, '') as date) as started,
            try_cast(nullif(submitted, '') as date) as submitted,
            nullif(submitted_time, '') as submitted_time,
            try_cast(nullif(seconds, '') as bigint) as seconds,
            nullif(language, '') as language,
            {{ read_boolean("is_complete") }} as is_complete,
            {{ read_boolean("is_test") }} as is_test
        from {{ ref("stg_survey_questionnaire__judged") }}
        where verdict = 'accepted'
    ),
    placed as (
        select
            questionnaire.*,
            coalesce(is_complete, true) and not coalesce(is_test, false) as is_valid,
            row_number() over (
                partition by
                    survey_id,
                    student_key,
                    case when student_key is null then response_key end,
                    coalesce(is_complete, true) and not coalesce(is_test, false)
                order by submitted desc nulls last, submitted_time desc nulls last, response_key desc
            ) as place,
            count(*) over (
                partition by survey_id, student_key, case when student_key is null then response_key end
            ) as of_student
        from questionnaire
    )
select
    survey_id,
    response_key,
    student_key,
    school_id,
    started,
    submitted,
    submitted_time,
    seconds,
    language,
    is_complete,
    is_test,
    of_student > 1 as is_repeated,
    is_valid and place = 1 as is_counted
from placed
