-- Codes that no crosswalk knows, by column and code. Codes are not about anyone; where they stand is in quarantine's
-- files.
{% for entity, column, crosswalk, view_column in [
    ("attendance_event", "category", "attendance_category", "category"),
    ("student_school_enrollment", "grade", "grade", "grade"),
    ("student_demographic", "sex", "sex", "sex"),
    ("student_demographic", "hispanic_latino", "yes_no", "hispanic_latino"),
    ("student_demographic", "economic", "economic", "economic"),
    ("student_demographic", "language", "language", "language"),
    ("student_demographic", "disability", "disability", "disability"),
    ("discipline_incident", "behavior", "behavior", "behavior"),
    ("discipline_incident_student", "participation", "participation", "participation"),
    ("discipline_action", "action", "discipline_action", "action"),
    ("school", "level", "school_level", "level"),
    ("student_school_enrollment", "enrollment_type", "enrollment_type", "enrollment_type"),
    ("discipline_incident_student", "behavior", "behavior", "behavior"),
    ("survey", "universe", "survey_universe", "universe"),
    ("survey_response", "answer", "survey_answer", "answer"),
    ("calendar_date", "calendar_event", "calendar_event", "calendar_event"),
] %}
    select
        '{{ entity }}' as entity,
        '{{ column }}' as column_name,
        cast(count(*) as bigint) as coded_rows,
        cast(coalesce(sum(case when {{ view_column }} = 'unmapped' then 1 else 0 end), 0) as bigint) as unmapped_rows,
        cast(coalesce(sum(case when {{ view_column }} = 'unmapped' then 1 else 0 end), 0) as {{ type_double() }})
        / nullif(count(*), 0) as unmapped_share
    from {{ ref("stg_" ~ entity) }}
    union all
{% endfor %}
select
    'student_demographic' as entity,
    'races' as column_name,
    cast(count(*) as bigint) as coded_rows,
    cast(coalesce(sum(case when is_unmapped then 1 else 0 end), 0) as bigint) as unmapped_rows,
    cast(coalesce(sum(case when is_unmapped then 1 else 0 end), 0) as {{ type_double() }})
    / nullif(count(*), 0) as unmapped_share
from {{ ref("stg_student_race") }}
