-- Days added up for each student, school, year and status, once, for every indicator of attendance.
-- recorded: session days with a mark that says present, tardy or absent. A day is absent when half of it or more was
-- missed. expected: recorded days, and settled days of membership for which nothing readable was recorded.
with
    day as (
        select attendance.*, status in ('present', 'tardy', 'absent') as is_recorded
        from {{ ref("fct_student_daily_attendance") }} as attendance
        where is_session
    ),
    part as (
        select
            day.student_key,
            day.school_id,
            day.school_year,
            profile_id,
            day.is_year_to_date,
            sum(case when is_recorded then 1 else 0 end) as recorded_days,
            sum(case when is_recorded and 2 * fraction_absent >= 1 then 1 else 0 end) as absent_days,
            sum(case when is_recorded or (is_enrolled and is_settled) then 1 else 0 end) as expected_days,
            sum(case when is_recorded and shared.student_key is not null then 1 else 0 end) as shared_recorded_days,
            sum(
                case when is_recorded and 2 * fraction_absent >= 1 and shared.student_key is not null then 1 else 0 end
            ) as shared_absent_days,
            sum(
                case
                    when (is_recorded or (is_enrolled and is_settled)) and shared.student_key is not null then 1 else 0
                end
            ) as shared_expected_days,
            sum(case when is_recorded then day_share * (1 - fraction_absent) else 0 end) as attended_days,
            sum(case when is_recorded then day_share else 0 end) as recorded_share,
            max(case when is_recorded then day.date end) as last_day
        from day
        left join
            {{ ref("attendance_shared_day") }} as shared
            on day.student_key = shared.student_key
            and day.date = shared.date
        group by day.student_key, day.school_id, day.school_year, profile_id, day.is_year_to_date
    ),
    unreliable as (select organization_id, school_year from {{ ref("unreliable_school") }} where domain = 'attendance')
{% for period_type in ["year", "year_to_date"] %}
    select
        part.student_key,
        part.school_id,
        part.school_year,
        '{{ period_type }}' as period_type,
        part.profile_id,
        cast(sum(recorded_days) as bigint) as recorded_days,
        cast(sum(absent_days) as bigint) as absent_days,
        cast(sum(expected_days) as bigint) as expected_days,
        cast(sum(shared_recorded_days) as bigint) as shared_recorded_days,
        cast(sum(shared_absent_days) as bigint) as shared_absent_days,
        cast(sum(shared_expected_days) as bigint) as shared_expected_days,
        cast(sum(attended_days) as decimal(18, 4)) as attended_days,
        cast(sum(recorded_share) as decimal(18, 4)) as recorded_share,
        max(last_day) as last_day,
        max(case when unreliable.organization_id is null then 1 else 0 end) = 1 as is_reliable
    from part
    left join unreliable on part.school_id = unreliable.organization_id and part.school_year = unreliable.school_year
    {% if period_type == "year_to_date" %} where part.is_year_to_date {% endif %}
    group by part.student_key, part.school_id, part.school_year, part.profile_id {{ "union all" if not loop.last }}
{% endfor %}
