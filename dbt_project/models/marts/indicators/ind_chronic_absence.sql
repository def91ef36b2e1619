-- Days are added up over the year whatever the student's status was; the status is that of the last recorded day.
{% set days %}
    select
        student_key, school_id as organization_id, school_year, period_type, recorded_days, absent_days, expected_days, last_day
    from {{ ref("attendance_summary") }}
{% endset %}
{{ chronic_absence(days) }}
