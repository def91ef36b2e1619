-- Codes that no crosswalk knows, by column: how many, in how many rows and schools, and since when. Codes are not about
-- anyone; where they stand is in quarantine's files, and which they are in audit_code_seen.
{% set columns = [
    ("attendance_event", "category"),
    ("calendar_date", "calendar_event"),
    ("calendar_date", "grade"),
    ("discipline_action", "action"),
    ("discipline_incident", "behavior"),
    ("discipline_incident_student", "behavior"),
    ("discipline_incident_student", "participation"),
    ("school", "level"),
    ("state_report", "indicator"),
    ("state_report", "student_group"),
    ("student_demographic", "disability"),
    ("student_demographic", "economic"),
    ("student_demographic", "hispanic_latino"),
    ("student_demographic", "language"),
    ("student_demographic", "races"),
    ("student_demographic", "sex"),
    ("student_school_enrollment", "enrollment_type"),
    ("student_school_enrollment", "grade"),
    ("survey", "universe"),
    ("survey_response", "answer"),
] %}
with
    code_column as (
        {% for entity, column in columns %}
            select '{{ entity }}' as entity, '{{ column }}' as column_name {{ "union all" if not loop.last }}
        {% endfor %}
    ),
    -- A column without rows has no code: one row of nulls.
    code as (
        select
            code_column.entity,
            code_column.column_name,
            stg_code.code,
            stg_code.school_id,
            stg_code.first_seen,
            stg_code.last_seen,
            coalesce(stg_code.coded_rows, 0) as coded_rows,
            coalesce(stg_code.meaning, '') = 'unmapped' as is_unmapped
        from code_column
        left join
            {{ ref("stg_code") }} as stg_code
            on code_column.entity = stg_code.entity
            and code_column.column_name = stg_code.column_name
    )
select
    entity,
    column_name,
    cast(sum(coded_rows) as bigint) as coded_rows,
    cast(sum(case when is_unmapped then coded_rows else 0 end) as bigint) as unmapped_rows,
    cast(sum(case when is_unmapped then coded_rows else 0 end) as {{ type_double() }})
    / nullif(sum(coded_rows), 0) as unmapped_share,
    cast(count(distinct case when is_unmapped then code end) as bigint) as unmapped_codes,
    cast(count(distinct case when is_unmapped then nullif(school_id, '') end) as bigint) as unmapped_schools,
    min(case when is_unmapped then first_seen end) as first_seen,
    max(case when is_unmapped then last_seen end) as last_seen
from code
group by entity, column_name
