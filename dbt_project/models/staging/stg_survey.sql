select
    survey_id,
    survey_name,
    universe.meaning as universe,
    cast(opened as date) as opened,
    cast(closed as date) as closed,
    {{ read_boolean("is_anonymous") }} as is_anonymous
from {{ ref("stg_survey__judged") }} as survey
left join
    {{ meanings(ref("stg_survey__judged"), "universe", "survey_universe") }} as universe
    on lower(trim(survey.universe)) = universe.code
where verdict = 'accepted'
