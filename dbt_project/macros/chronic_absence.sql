{#
  Chronic absence. One rule, asked of the days at a school, or of all of a student's days in the district.
  A student with fewer days than the minimum, or with too few recorded days, is not classified: such rows
  have denominator 0 and say why in universe_rule, so that the excluded can be counted by group.
  Integers only: 100 * absent >= percent * recorded. METHODS, five arithmetic rules, 1.
  `days` is a relation of student_key, organization_id, school_year, period_type, recorded_days, absent_days,
  expected_days and last_day, in as many rows as you like.
#}
{% macro chronic_absence(days) %}
    with
        year as (
            select
                student_key,
                organization_id,
                school_year,
                period_type,
                sum(recorded_days) as recorded_days,
                sum(absent_days) as absent_days,
                sum(expected_days) as expected_days,
                max(last_day) as status_date
            from ({{ days }}) as days
            group by student_key, organization_id, school_year, period_type
        ),
        classified as (
            select
                year.*,
                case
                    when 100 * recorded_days < context.recorded_days_percent * expected_days
                    then 'too_few_recorded_days'
                    when recorded_days < context.chronic_absence_minimum_days
                    then 'fewer_than_minimum_days'
                    else 'classified'
                end as universe_rule,
                100 * absent_days >= context.chronic_absence_percent * recorded_days as is_chronic
            from year
            cross join {{ source("control", "run_context") }} as context
        )
    select
        student_key,
        organization_id,
        school_year,
        period_type,
        cast(null as bigint) as profile_id,
        cast(case when universe_rule = 'classified' and is_chronic then 1 else 0 end as decimal(18, 4)) as numerator,
        cast(case when universe_rule = 'classified' then 1 else 0 end as decimal(18, 4)) as denominator,
        status_date,
        universe_rule
    from classified
{% endmacro %}
