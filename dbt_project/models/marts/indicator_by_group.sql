-- Every organization, indicator, period and group has a row, with numbers or with the reason why there are none.
-- Before disclosure control: restricted, not for release.
with
    frame as (
        select
            period.organization_id,
            period.school_year,
            period.period_type,
            period.period_start,
            period.period_end,
            period.is_complete,
            indicator.indicator_id,
            indicator.unit,
            indicator.domain,
            indicator.rate_min,
            indicator.rate_max,
            student_group.student_group_id,
            context.load_id,
            context.as_of,
            context.attendance_settled_on,
            context.judgement_minimum_students,
            period.organization_id = context.district_id as is_district,
            collected.entity is not null as is_collected,
            unreliable.organization_id is not null as is_unreliable
        from {{ ref("period") }} as period
        cross join {{ source("control", "run_context") }} as context
        inner join
            {{ ref("indicator") }} as indicator
            on (indicator.levels = 'school-and-district' or period.organization_id = context.district_id)
        cross join {{ ref("student_group") }} as student_group
        left join
            {{ ref("collected_entity") }} as collected
            on indicator.entity = collected.entity
            and period.school_year = collected.school_year
        left join
            {{ ref("unreliable_school") }} as unreliable
            on indicator.domain = unreliable.domain
            and period.organization_id = unreliable.organization_id
            and period.school_year = unreliable.school_year
    ),
    counted as (
        select
            frame.*,
            coalesce(cell.students, 0) as students,
            coalesce(cell.students_numerator, 0) as students_numerator,
            cast(cell.numerator as {{ type_double() }}) as x,
            cast(cell.denominator as {{ type_double() }}) as n,
            cell.numerator_squared as xx,
            cell.numerator_denominator as xn,
            cell.denominator_squared as nn,
            case
                when not frame.is_district
                then case when frame.is_unreliable then 0.0 else 1.0 end
                else coverage.coverage
            end as coverage,
            through.data_through
        from frame
        left join
            {{ ref("indicator_cell") }} as cell
            on frame.indicator_id = cell.indicator_id
            and frame.organization_id = cell.organization_id
            and frame.school_year = cell.school_year
            and frame.period_type = cell.period_type
            and frame.student_group_id = cell.student_group_id
        left join
            {{ ref("district_coverage") }} as coverage
            on case when frame.is_district then frame.domain end = coverage.domain
            and frame.school_year = coverage.school_year
            and frame.period_type = coverage.period_type
            and frame.student_group_id = coverage.student_group_id
        left join
            {{ ref("data_through") }} as through
            on frame.domain = through.domain
            and frame.organization_id = through.organization_id
            and frame.school_year = through.school_year
            and frame.period_type = through.period_type
    ),
    decided as (
        select
            counted.*,
            case
                when not is_collected
                then 'not_collected'
                when is_unreliable or (is_district and coverage = 0)
                then 'data_not_reliable'
                when students = 0
                then 'undefined'
                when students < judgement_minimum_students
                then 'below_minimum_n'
                else 'published'
            end as status
        from counted
    )
select
    load_id,
    school_year,
    period_type,
    period_start,
    period_end,
    is_complete,
    organization_id,
    indicator_id,
    student_group_id,
    case when {{ is_shown() }} then x end as numerator,
    case when {{ is_shown() }} then n end as denominator,
    case when {{ is_shown() }} then students end as students,
    case when {{ is_shown() }} and unit <> 'count' then x / nullif(n, 0) end as rate,
    case
        when not {{ is_shown() }} or unit = 'count'
        then null
        when unit in ('student', 'student-school')
        then {{ wilson_bound("x", "n", "-") }}
        when students > 1
        then
            greatest(
                rate_min, x / nullif(n, 0) - {{ z() }} * {{ linearized_error("x", "n", "xx", "xn", "nn", "students") }}
            )
    end as rate_low,
    case
        when not {{ is_shown() }} or unit = 'count'
        then null
        when unit in ('student', 'student-school')
        then {{ wilson_bound("x", "n", "+") }}
        when students > 1
        then
            least(
                rate_max, x / nullif(n, 0) + {{ z() }} * {{ linearized_error("x", "n", "xx", "xn", "nn", "students") }}
            )
    end as rate_high,
    case
        when not {{ is_shown() }} or unit = 'count'
        then null
        when unit in ('student', 'student-school')
        then 'wilson'
        when students > 1
        then 'linearized_ratio_clustered_by_student'
    end as interval_method,
    case when {{ is_shown() }} or status = 'data_not_reliable' then coverage end as coverage,
    data_through,
    is_complete and period_end <= attendance_settled_on as is_final,
    status,
    case
        status
        when 'not_collected'
        then 'no_source'
        when 'data_not_reliable'
        then 'gate'
        when 'undefined'
        then 'nobody'
        when 'below_minimum_n'
        then 'few_students'
    end as status_reason_code,
    case
        status
        when 'not_collected'
        then 'No source of this kind covers this school year.'
        when 'data_not_reliable'
        then 'The data behind this figure did not pass its checks; see data_quality_result.'
        when 'undefined'
        then 'Nobody of this group is in the universe of this indicator here.'
        when 'below_minimum_n'
        then 'Too few students to judge by: no gap, test, flag or rank is drawn from it.'
    end as status_reason,
    case
        when not {{ is_shown() }}
        then null
        when unit = 'count'
        then cast(cast(x as bigint) as varchar)
        else {{ display_percent("x", "n") }}
    end as display_value
from decided
