{{ config(materialized="table") }}
-- Every code of every code column with what it means where it stands: one row a code, meaning and school, with its rows
-- and the first and last day on which it was sent. day_column is the entity's own; without one nobody knows since when.
{% set columns = [
    ("attendance_event", "category", "attendance_category", "date"),
    ("calendar_date", "calendar_event", "calendar_event", "date"),
    ("calendar_date", "grade", "grade", "date"),
    ("discipline_action", "action", "discipline_action", "date"),
    ("discipline_incident", "behavior", "behavior", "date"),
    ("discipline_incident_student", "behavior", "behavior", none),
    ("discipline_incident_student", "participation", "participation", none),
    ("school", "level", "school_level", none),
    ("state_report", "indicator", "state_indicator", none),
    ("state_report", "student_group", "state_student_group", none),
    ("student_demographic", "disability", "disability", "start_date"),
    ("student_demographic", "economic", "economic", "start_date"),
    ("student_demographic", "hispanic_latino", "yes_no", "start_date"),
    ("student_demographic", "language", "language", "start_date"),
    ("student_demographic", "races", "race", "start_date"),
    ("student_demographic", "sex", "sex", "start_date"),
    ("student_school_enrollment", "enrollment_type", "enrollment_type", "entry_date"),
    ("student_school_enrollment", "grade", "grade", "entry_date"),
    ("survey", "universe", "survey_universe", "opened"),
    ("survey_response", "answer", "survey_answer", "submitted"),
] %}
with
    {% for entity, column, crosswalk, day_column in columns %}
        {{ entity }}_{{ column }} as (
            select
                lower(trim(cell)) as code,
                coalesce(coded_at, '') as coded_at,
                coalesce(coded_calendar, '') as coded_calendar,
                {{ coded_year("coded_on") }} as coded_in,
                count(*) as coded_rows,
                {% if day_column %}
                    min(try_cast(nullif({{ day_column }}, '') as date)) as first_seen,
                    max(try_cast(nullif({{ day_column }}, '') as date)) as last_seen
                {% else %} cast(null as date) as first_seen, cast(null as date) as last_seen
                {% endif %}
            from
                (
                    select
                        *,
                        {% if column == "races" %} unnest(string_split(races, '|'))
                        {% else %} {{ column }}
                        {% endif %} as cell
                    from ({{ coded_rows(entity) }}) as coded
                    where {{ column }} is not null
                ) as cells
            group by all
        ){{ "," if not loop.last }}
    {% endfor %}
{% for entity, column, crosswalk, day_column in columns %}
        {% set seen = entity ~ "_" ~ column %}
    select
        '{{ entity }}' as entity,
        '{{ column }}' as column_name,
        '{{ crosswalk }}' as crosswalk,
        seen.code,
        meant.meaning,
        seen.coded_at as school_id,
        cast(sum(seen.coded_rows) as bigint) as coded_rows,
        min(seen.first_seen) as first_seen,
        max(seen.last_seen) as last_seen
    from {{ seen }} as seen
    left join
        {{ meanings(seen, "code", crosswalk, school="coded_at", school_year="coded_in", calendar="coded_calendar") }}
        as meant
        on {{
            same_meaning(
                "meant",
                "seen.code",
                school="seen.coded_at",
                school_year="seen.coded_in",
                calendar="seen.coded_calendar",
            )
        }}
    group by seen.code, meant.meaning, seen.coded_at {{ "union all" if not loop.last }}
{% endfor %}
