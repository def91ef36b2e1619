-- As chronic absence, with each student's days at all schools added up first. Schools whose attendance cannot be relied
-- on are left out day by day here, since the district's figure is not a sum over schools. A day shared between schools
-- counts once, and a day that was recorded at another school is not missing.
{% set days %}
    select
        student_key,
        context.district_id as organization_id,
        school_year,
        period_type,
        recorded_days - shared_recorded_days as recorded_days,
        absent_days - shared_absent_days as absent_days,
        expected_days - shared_expected_days as expected_days,
        last_day
    from {{ ref("attendance_summary") }}
    cross join {{ source("control", "run_context") }} as context
    where is_reliable
    {% for period_type in ["year", "year_to_date"] %}
        union all
        select
            student_key,
            context.district_id,
            school_year,
            '{{ period_type }}',
            recorded_days,
            absent_days,
            expected_days,
            case when recorded_days > 0 then date end
        from {{ ref("attendance_shared_day") }}
        cross join {{ source("control", "run_context") }} as context
        {% if period_type == "year_to_date" %} where is_year_to_date {% endif %}
    {% endfor %}
{% endset %}
{{ chronic_absence(days) }}
