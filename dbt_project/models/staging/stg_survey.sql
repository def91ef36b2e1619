select
    survey_id,
    survey_name,
    universe.meaning as universe,
    cast(opened as date) as opened,
    cast(closed as date) as closed,
    {{ read_boolean("is_anonymous") }} as is_anonymous
from {{ ref("stg_survey__judged") }} as survey
left join
    {{
        meanings(
            ref("stg_survey__judged"), "universe", "survey_universe", school_year=coded_year("cast(opened as date)")
        )
    }} as universe
    on {{ same_meaning("universe", "survey.universe", school_year=coded_year("cast(survey.opened as date)")) }}
where verdict = 'accepted'
