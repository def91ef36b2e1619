-- The indicator models, one below the other, each row with the status (profile) under which it counts.
with
    every_indicator as (
        {% for indicator in var("indicators") %}
            select
                '{{ indicator.indicator_id }}' as indicator_id,
                student_key,
                organization_id,
                school_year,
                period_type,
                profile_id,
                numerator,
                denominator,
                status_date,
                universe_rule
            from {{ ref(indicator.model) }} {{ "union all" if not loop.last }}
        {% endfor %}
    ),
    nobody as (
        select profile_id
        from {{ ref("student_profile") }}
        where
            {% for category in categories() %}
                {{ category }} = {{ "'|unknown|'" if category == "race_in_combination" else "'unknown'" }}
                {{ "and" if not loop.last }}
            {% endfor %}
    )
select
    measured.indicator_id,
    measured.student_key,
    measured.organization_id,
    measured.school_year,
    measured.period_type,
    coalesce(measured.profile_id, history.profile_id, nobody.profile_id) as profile_id,
    measured.numerator,
    measured.denominator,
    measured.status_date,
    measured.universe_rule
from every_indicator as measured
cross join nobody
left join
    {{ ref("dim_student_history") }} as history
    -- An equality of one side each: another condition beside it would be planned as a nested loop.
    on case when measured.profile_id is null then measured.student_key end = history.student_key
    and measured.status_date between history.valid_from and history.valid_to
