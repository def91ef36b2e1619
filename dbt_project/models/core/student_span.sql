-- All categories side by side, in spans within which none of them changes. Every student is covered from 1900 to
-- 9999: where no source speaks, the value is unknown.
with
    edge as (
        select student_key, cast('1900-01-01' as date) as valid_from
        from {{ ref("dim_student") }}
        union
        select student_key, valid_from
        from {{ ref("student_attribute_span") }}
        union
        select student_key, {{ day_after("valid_to") }} as valid_from
        from {{ ref("student_attribute_span") }}
        where valid_to < cast('9999-12-31' as date)
    ),
    span as (
        select
            student_key,
            valid_from,
            coalesce(
                {{ day_before("lead(valid_from) over (partition by student_key order by valid_from)") }},
                cast('9999-12-31' as date)
            ) as valid_to
        from edge
    )
select
    span.student_key,
    span.valid_from,
    span.valid_to,
    {% for category in categories() %}
        coalesce(
            max(case when attribute.category = '{{ category }}' then attribute.value end),
            {{ "'|unknown|'" if category == "race_in_combination" else "'unknown'" }}
        ) as {{ category }},
    {% endfor %}
    case
        max(
            case
                attribute.span_kind
                when 'dated'
                then 1
                when 'observed'
                then 2
                when 'assumed_from_first_observation'
                then 3
            end
        )
        when 1
        then 'dated'
        when 2
        then 'observed'
        when 3
        then 'assumed_from_first_observation'
    end as span_kind,
    coalesce(max(case when attribute.span_kind = 'assumed_from_first_observation' then 1 else 0 end), 0)
    = 1 as is_assumed
from span
left join
    {{ ref("student_attribute_span") }} as attribute
    on span.student_key = attribute.student_key
    and span.valid_from between attribute.valid_from and attribute.valid_to
group by span.student_key, span.valid_from, span.valid_to
