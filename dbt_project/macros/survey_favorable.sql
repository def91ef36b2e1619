{#
  Favorable answers over answers given to the items of one construct, in student surveys. Blank and not
  applicable are not answers; an answer in a code that is not mapped is neither favorable nor counted,
  and fails the code check. Questionnaires that do not count (tests, unfinished ones, earlier repeats) are left out. Status is that of the day of submission.
#}
{% macro survey_favorable(construct) %}
    select
        coalesce(answer.student_key, answer.response_key) as student_key,
        coalesce(answer.school_id, context.district_id) as organization_id,
        answer.school_year,
        period.period_type,
        cast(null as bigint) as profile_id,
        cast(sum(case when answer.answer = 'favorable' then 1 else 0 end) as decimal(18, 4)) as numerator,
        cast(count(*) as decimal(18, 4)) as denominator,
        max(answer.submitted) as status_date,
        'answered' as universe_rule
    from {{ ref("fct_survey_response") }} as answer
    cross join {{ source("control", "run_context") }} as context
    inner join
        {{ ref("period") }} as period
        on coalesce(answer.school_id, context.district_id) = period.organization_id
        and answer.school_year = period.school_year
        and answer.submitted <= period.period_end
    where
        answer.construct = '{{ construct }}'
        and answer.universe = 'student'
        and answer.is_counted
        and answer.answer in ('favorable', 'neutral', 'unfavorable')
    group by
        coalesce(answer.student_key, answer.response_key),
        coalesce(answer.school_id, context.district_id),
        answer.school_year,
        period.period_type
{% endmacro %}
