-- Counts by organization, indicator, period and group. Students whose status did not change are added up by profile and
-- then spread to groups; the few with several statuses are spread one by one, so that each counts once in a group.
-- The sums of squares and products serve the student-clustered interval of day and answer rates.
with
    changed as (
        select indicator_id, organization_id, school_year, period_type, student_key
        from {{ ref("student_indicator_organization") }}
        group by indicator_id, organization_id, school_year, period_type, student_key
        having count(*) > 1
    ),
    marked as (
        select status.*, changed.student_key is not null as is_changed
        from {{ ref("student_indicator_organization") }} as status
        left join
            changed
            on status.indicator_id = changed.indicator_id
            and status.organization_id = changed.organization_id
            and status.school_year = changed.school_year
            and status.period_type = changed.period_type
            and status.student_key = changed.student_key
    ),
    steady as (
        select indicator_id, organization_id, school_year, period_type, profile_id, {{ cell_sums() }}
        from marked
        where not is_changed
        group by indicator_id, organization_id, school_year, period_type, profile_id
    ),
    by_student as (
        select
            marked.indicator_id,
            marked.organization_id,
            marked.school_year,
            marked.period_type,
            spread.student_group_id,
            marked.student_key,
            sum(marked.numerator) as numerator,
            sum(marked.denominator) as denominator
        from marked
        inner join {{ ref("student_profile_group") }} as spread on marked.profile_id = spread.profile_id
        where marked.is_changed
        group by
            marked.indicator_id,
            marked.organization_id,
            marked.school_year,
            marked.period_type,
            spread.student_group_id,
            marked.student_key
    ),
    part as (
        select
            steady.indicator_id,
            steady.organization_id,
            steady.school_year,
            steady.period_type,
            spread.student_group_id,
            students,
            students_numerator,
            students_difference,
            numerator,
            denominator,
            numerator_squared,
            numerator_denominator,
            denominator_squared
        from steady
        inner join {{ ref("student_profile_group") }} as spread on steady.profile_id = spread.profile_id
        union all
        select indicator_id, organization_id, school_year, period_type, student_group_id, {{ cell_sums() }}
        from by_student
        group by indicator_id, organization_id, school_year, period_type, student_group_id
    )
select
    indicator_id,
    organization_id,
    school_year,
    period_type,
    student_group_id,
    cast(sum(students) as bigint) as students,
    cast(sum(students_numerator) as bigint) as students_numerator,
    cast(sum(students_difference) as bigint) as students_difference,
    cast(sum(numerator) as decimal(28, 4)) as numerator,
    cast(sum(denominator) as decimal(28, 4)) as denominator,
    cast(sum(numerator_squared) as {{ type_double() }}) as numerator_squared,
    cast(sum(numerator_denominator) as {{ type_double() }}) as numerator_denominator,
    cast(sum(denominator_squared) as {{ type_double() }}) as denominator_squared
from part
group by indicator_id, organization_id, school_year, period_type, student_group_id
