-- One row a student, category and span: what was true of the student, from when to when, and how we know.
-- Race is rolled up here, once: federally (Hispanic of any race first, then one race, then two or more), as
-- reported (ethnicity left aside), and in combination (every race that was named).
with
    person as (
        select
            demographic.*,
            coalesce(start_date, cast('1900-01-01' as date)) as valid_from,
            coalesce(end_date, cast('9999-12-31' as date)) as stated_end,
            case when start_date is null then 'assumed_from_first_observation' else 'dated' end as span_kind,
            case when is_american_indian_or_alaska_native then 1 else 0 end
            + case when is_asian then 1 else 0 end
            + case when is_black then 1 else 0 end
            + case when is_native_hawaiian_or_pacific_islander then 1 else 0 end
            + case when is_white then 1 else 0 end
            + case when is_unmapped_race then 1 else 0 end as races_named
        from {{ ref("stg_student_demographic") }} as demographic
    ),
    stated as (
        select student_key, valid_from, stated_end, span_kind, file_no, line, 'sex' as category, sex as value
        from person
        where sex is not null
        union all
        select student_key, valid_from, stated_end, span_kind, file_no, line, 'economic', economic
        from person
        where economic is not null
        union all
        select student_key, valid_from, stated_end, span_kind, file_no, line, 'language', language
        from person
        where language is not null
        union all
        select student_key, valid_from, stated_end, span_kind, file_no, line, 'disability', disability
        from person
        where disability is not null
        union all
        select student_key, valid_from, stated_end, span_kind, file_no, line, 'race_ethnicity', {{ race_ethnicity() }}
        from person
        where has_race_question
        union all
        select student_key, valid_from, stated_end, span_kind, file_no, line, 'race_reported', {{ race_reported() }}
        from person
        where has_race_question
        union all
        select
            student_key,
            valid_from,
            stated_end,
            span_kind,
            file_no,
            line,
            'race_in_combination',
            {{ race_in_combination() }}
        from person
        where has_race_question
    ),
    one_a_day as (
        select
            *,
            row_number() over (partition by student_key, category, valid_from order by file_no desc, line desc) as place
        from stated
    ),
    followed as (
        select
            student_key,
            category,
            value,
            valid_from,
            stated_end,
            span_kind,
            lead(valid_from) over (partition by student_key, category order by valid_from) as next_from
        from one_a_day
        where place = 1
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
