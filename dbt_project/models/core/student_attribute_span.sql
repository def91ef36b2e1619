-- One row a student, category and span: what was true of the student, from when to when, and how we know.
-- Race is rolled up here, once: federally (Hispanic of any race first, then one race, then two or more), as
-- reported (ethnicity left aside), and in combination (every race that was named).
-- A value without a date was observed from the delivery that first showed it until another was, and the first one is
-- assumed of the time before. From the first day on which a source gives dates, only dated values speak.
with
    person as (
        select
            demographic.*,
            case when is_american_indian_or_alaska_native then 1 else 0 end
            + case when is_asian then 1 else 0 end
            + case when is_black then 1 else 0 end
            + case when is_native_hawaiian_or_pacific_islander then 1 else 0 end
            + case when is_white then 1 else 0 end
            + case when is_unmapped_race then 1 else 0 end as races_named
        from {{ ref("stg_student_demographic") }} as demographic
    ),
    stated as (
        {% set attributes = [
            ("sex", "sex", "sex is not null"),
            ("economic", "economic", "economic is not null"),
            ("language", "language", "language is not null"),
            ("disability", "disability", "disability is not null"),
            ("race_ethnicity", race_ethnicity(), "has_race_question"),
            ("race_reported", race_reported(), "has_race_question"),
            ("race_in_combination", race_in_combination(), "has_race_question"),
        ] %}
        {% for category, value, is_said in attributes %}
            select
                student_key,
                '{{ category }}' as category,
                {{ value }} as value,
                start_date,
                end_date,
                observed_on,
                source_id,
                place,
                line
            from person
            where {{ is_said }} {{ "union all" if not loop.last }}
        {% endfor %}
    ),
    ranked as (
        select
            student_key,
            category,
            value,
            start_date,
            end_date,
            observed_on,
            row_number() over (
                partition by student_key, category, start_date, observed_on
                order by source_id desc, place desc, line desc
            ) as rank_of_day
        from stated
    ),
    observed as (
        select
            student_key,
            category,
            value,
            observed_on,
            lag(value) over (partition by student_key, category order by observed_on) as value_before
        from ranked
        where rank_of_day = 1 and start_date is null
    ),
    first_dated as (
        select student_key, category, min(start_date) as start_date
        from ranked
        where start_date is not null
        group by student_key, category
    ),
    undated as (
        select
            student_key,
            category,
            value,
            cast('1900-01-01' as date) as valid_from,
            'assumed_from_first_observation' as span_kind
        from observed
        where value_before is null
        union all
        select student_key, category, value, observed_on as valid_from, 'observed' as span_kind
        from observed
        where value_before is null or value_before <> value
    ),
    span as (
        select
            student_key,
            category,
            value,
            start_date as valid_from,
            coalesce(end_date, cast('9999-12-31' as date)) as stated_end,
            'dated' as span_kind
        from ranked
        where rank_of_day = 1 and start_date is not null
        union all
        select
            undated.student_key,
            undated.category,
            undated.value,
            undated.valid_from,
            cast('9999-12-31' as date) as stated_end,
            undated.span_kind
        from undated
        left join
            first_dated on undated.student_key = first_dated.student_key and undated.category = first_dated.category
        where first_dated.start_date is null or undated.valid_from < first_dated.start_date
    ),
    followed as (
        select span.*, lead(valid_from) over (partition by student_key, category order by valid_from) as next_from
        from span
    )
select
    student_key,
    category,
    value,
    valid_from,
    case
        when next_from is null or stated_end < next_from then stated_end else {{ day_before("next_from") }}
    end as valid_to,
    span_kind
from followed
