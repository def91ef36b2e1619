{#
  Staging decides, for every landed row, whether it is accepted. It never drops one: a row that is
  not accepted carries a verdict, is counted, and (unless a later delivery restated it) goes to quarantine.

  verdict:
    accepted               the row speaks
    superseded             a later delivery restated it, or took its record back; or it says with another record of its
                           source what an accepted row says, as two classes of one stay (no fault, not quarantined)
    exact_duplicate        the same key and the same content twice in one delivery
    conflicting_duplicate  the same key with other content in one delivery; the last row speaks
    unknown_identifier     an id of another system that no student_identifier row joins

  school_day: the column with the day on which the row was at its school_id, as ISO text. Then answering_id is the
  school that answers for it (see `school_on`), and stands in the key in the place of school_id: two ids of one
  school are no two schools.

  longest: the last day of what the row tells of. Of several records with one key the one that lasts longest speaks.

  student is the entity's student key column, or none. optional: columns of the key in which a cell that
  was never asked for is as good as a blank one. Rows keep file_no and line: their lineage. With source_id
  in the key, two sources may speak of the same thing: what they say is laid together later.
#}
{% macro judged_rows(entity, key, student=none, date_column=none, optional=[], school_day=none, longest=none) %}
    with
        landed as (
            select
                r.* exclude (is_deleted)
                {% for column in optional %}
                    {{ "replace (" if loop.first else ", " }}coalesce(
                        r.{{ column }}, ''
                    ) as {{ column }}{{ ")" if loop.last }}
                {% endfor %},
                f.delivery_no,
                f.newest_delivery_no,
                f.delivered_on,
                f.missing_rows
                {% if "source_id" in key %}, f.source_id {% endif %}
                {% if school_day %}
                    , {{ school_on("succession", "r.school_id", "r." ~ school_day) }} as answering_id
                {% endif %}
            from {{ source("raw", entity) }} as r
            inner join {{ source("control", "live_file") }} as f on r.file_no = f.file_no
            {% if school_day %}
                left join {{ ref("stg_school_succession") }} as succession on r.school_id = succession.school_id
            {% endif %}
        ),
        current_rows as (
            {% if date_column %}
                select landed.*, restated.file_no is not null or restated_record.file_no is not null as is_restated
                from landed
                left join
                    {{ restated_dates(entity, date_column) }} as restated
                    on landed.file_no = restated.file_no
                    and landed.{{ date_column }} = restated.restated_date
            {% else %}select landed.*, restated_record.file_no is not null as is_restated from landed
            {% endif %}
            left join
                {{ restated_records(entity) }} as restated_record
                on landed.file_no = restated_record.file_no
                and landed.line = restated_record.line
        ),
        resolved as (
            {% if student %}
                select
                    current_rows.* exclude (student_system) replace (
                        case
                            when current_rows.student_system = context.student_system
                            then current_rows.{{ student }}
                            else link.student_key
                        end as {{ student }}
                    ),
                    current_rows.{{ student }} is not null
                    and current_rows.student_system <> context.student_system
                    and link.student_key is null as is_unknown
                from current_rows
                cross join {{ source("control", "run_context") }} as context
                left join
                    {{ ref("stg_student_link") }} as link
                    on current_rows.student_system = link.system
                    and current_rows.{{ student }} = link.key
            {% else %}select * exclude (student_system), false as is_unknown from current_rows
            {% endif %}
        ),
        repeated_key as (
            select {% for k in key %} {{ k }} as key_{{ loop.index }}{{ ", " if not loop.last }}{% endfor %}
            from resolved
            where not is_unknown and not is_restated
            group by all
            having count(*) > 1
        ),
        repeated as (
            select
                resolved.*,
                row(*columns(resolved.* exclude ({{ lineage_columns() }} {{ ", school_id" if school_day }})))::varchar
                as content
            from resolved
            semi join repeated_key on {{ same_key(key) }} and not is_unknown and not is_restated
        ),
        ranked as (
            select
                repeated.*,
                row_number() over (
                    partition by {{ key | join(", ") }}
                    order by
                        {% if longest %}
                            case
                                when record_key is not null then coalesce(nullif({{ longest }}, ''), '9999-12-31')
                            end desc nulls last,
                        {% endif %}
                        delivery_no desc,
                        file_no desc,
                        line desc,
                        content desc
                ) as place,
                max(delivery_no) over (partition by {{ key | join(", ") }}) as newest,
                count(*) over (partition by {{ key | join(", ") }}, record_key) as rows_of_record,
                min(content) over (partition by {{ key | join(", ") }}, delivery_no) as least,
                max(content) over (partition by {{ key | join(", ") }}, delivery_no) as most
            from repeated
        )
    select
        resolved.* exclude (is_unknown, is_restated),
        case when is_restated then 'superseded' else 'unknown_identifier' end as verdict
    from resolved
    where is_unknown or is_restated
    union all by name
    -- The anti join holds equalities only: another condition in it would be planned as a nested loop.
    select resolved.* exclude (is_unknown, is_restated), 'accepted' as verdict
    from resolved
    anti join repeated_key on {{ same_key(key) }}
    where not is_unknown and not is_restated
    union all by name
    select
        ranked.* exclude (is_unknown, is_restated, content, place, newest, rows_of_record, least, most),
        case
            when place = 1
            then 'accepted'
            when delivery_no < newest or (record_key is not null and rows_of_record = 1)
            then 'superseded'
            when least = most
            then 'exact_duplicate'
            else 'conflicting_duplicate'
        end as verdict
    from ranked
{% endmacro %}

{#
  The school that answers for a school id on a day: itself, or what a renumbering or a merger made of it.
  `succession` is stg_school_succession, left joined on the id; day is ISO text, and empty or null before all mergers.
#}
{% macro school_on(succession, school, day) -%}
    case
        when {{ succession }}.school_id is null
        then {{ school }}
        else
            coalesce(
                list_last(
                    [
                        step.school_id
                        for step in {{ succession }}.steps
                        if step.valid_from <= coalesce(nullif({{ day }}, ''), '1900-01-01')
                    ]
                ),
                {{ school }}
            )
    end
{%- endmacro %}

{% macro lineage_columns() %}
    file_no, line, delivery_no, newest_delivery_no, delivered_on, missing_rows, is_unknown, is_restated, record_key
{% endmacro %}

{% macro same_key(key) %}
    {% for k in key %}
        resolved.{{ k }} is not distinct from repeated_key.key_{{ loop.index }}{{ " and " if not loop.last }}
    {% endfor %}
{% endmacro %}

{#
  Rows of records that a later delivery of their source states again, or takes back, and the rows that take back. The
  newest delivery that names a record has said all that is so of it; within that delivery its last row says whether the
  record is gone. Two rows of one record in one delivery are judged by their key, as any. Rows without a record's id,
  which is all of most sources, are never here. The same rule stands in `pipelines/changes.py`.
#}
{% macro restated_records(entity) %}
    (
        select distinct file_no, line
        from
            (
                select
                    r.file_no,
                    r.line,
                    r.is_deleted,
                    f.delivery_no < max(f.delivery_no) over of_record as is_older,
                    arg_max(r.is_deleted, row(f.delivery_no, r.file_no, r.line)) over of_record as is_gone
                from {{ source("raw", entity) }} as r
                inner join {{ source("control", "live_file") }} as f on r.file_no = f.file_no
                where r.record_key is not null
                window of_record as (partition by f.source_id, r.record_key)
            )
        where is_deleted or is_older or is_gone
    )
{% endmacro %}

{# Dates of a file that a later file of the same `window` source states again. #}
{% macro restated_dates(entity, date_column) %}
    (
        select distinct earlier.file_no, day.restated_date
        from {{ source("control", "live_file") }} as earlier
        inner join
            {{ source("control", "live_file") }} as later
            on earlier.source_id = later.source_id
            and earlier.entity = later.entity
            and earlier.delivery_no < later.delivery_no
            and later.missing_rows = 'window'
        inner join
            (select distinct file_no, {{ date_column }} as restated_date from {{ source("raw", entity) }}) as day
            on earlier.file_no = day.file_no
            and cast(day.restated_date as date) between later.window_lo and later.window_hi
        where earlier.entity = '{{ entity }}'
    )
{% endmacro %}

{#
  What each code of a column means: the most specific crosswalk row wins (a school's over the
  district's, a year's over all years). '' is `unknown`; a code that no row maps is `unmapped`.
  Yields code, code_school_id, code_school_year, code_calendar_id, meaning: small, to be hash-joined
  by `same_meaning` with the same scopes. Which scopes a crosswalk has stands in
  `pipelines/crosswalks.py`; a test holds every call to it.
#}
{% macro meanings(relation, column, crosswalk, school="'all'", school_year="0", calendar="'all'") %}
    (
        select
            seen.code,
            seen.school_id as code_school_id,
            seen.school_year as code_school_year,
            seen.calendar_id as code_calendar_id,
            coalesce(
                arg_max(x.value, x.specificity), case when seen.code = '' then 'unknown' else 'unmapped' end
            ) as meaning
        from
            (
                select distinct
                    lower(trim({{ column }})) as code,
                    coalesce({{ school }}, '') as school_id,
                    {{ school_year }} as school_year,
                    coalesce({{ calendar }}, '') as calendar_id
                from {{ relation }}
                where {{ column }} is not null
            ) as seen
        left join
            {{ source("control", "crosswalk") }} as x
            on x.crosswalk = '{{ crosswalk }}'
            and x.code = seen.code
            and x.school_id in ('all', seen.school_id)
            and x.school_year in (0, seen.school_year)
            and x.calendar_id in ('all', seen.calendar_id)
        group by seen.code, seen.school_id, seen.school_year, seen.calendar_id
    )
{% endmacro %}

{# The condition that joins a row to the meaning of its code, where and when it was written. #}
{% macro same_meaning(meaning, code, school=none, school_year=none, calendar=none) -%}
    lower(trim({{ code }})) = {{ meaning }}.code
    {%- if school %} and coalesce({{ school }}, '') = {{ meaning }}.code_school_id {%- endif %}
    {%- if school_year %} and {{ school_year }} = {{ meaning }}.code_school_year {%- endif %}
    {%- if calendar %} and coalesce({{ calendar }}, '') = {{ meaning }}.code_calendar_id {%- endif %}
{%- endmacro %}

{#
  Accepted rows of an entity with the school, calendar and day that decide whose codes they are in: coded_at,
  coded_calendar, coded_on. A row that has no day or school of its own takes it from what it belongs to.
#}
{% macro coded_rows(entity) %}
    {% set judged = ref("stg_" ~ entity ~ "__judged") %}
    {% if entity == "discipline_incident_student" %}
        -- A participant has no day, and often no school: both are those of the incident. Two schools may number their
        -- incidents alike; then only a participant with a school says which one is meant.
        select
            participant.*,
            coalesce(nullif(participant.school_id, ''), numbered_once.school_id) as coded_at,
            '' as coded_calendar,
            cast(coalesce(own.date, numbered_once.date) as date) as coded_on
        from {{ judged }} as participant
        left join
            (
                select incident_key, school_id, date
                from {{ ref("stg_discipline_incident__judged") }}
                where verdict = 'accepted'
            ) as own
            on participant.incident_key = own.incident_key
            and participant.school_id = own.school_id
        left join
            (
                select incident_key, min(school_id) as school_id, min(date) as date
                from {{ ref("stg_discipline_incident__judged") }}
                where verdict = 'accepted'
                group by incident_key
                having count(*) = 1
            ) as numbered_once
            on participant.incident_key = numbered_once.incident_key
        where participant.verdict = 'accepted'
    {% elif entity == "survey_response" %}
        -- An answer without a day was given in the survey's own year.
        select
            answered.*,
            answered.school_id as coded_at,
            '' as coded_calendar,
            coalesce(try_cast(nullif(answered.submitted, '') as date), cast(survey.opened as date)) as coded_on
        from {{ judged }} as answered
        left join
            (select survey_id, opened from {{ ref("stg_survey__judged") }} where verdict = 'accepted') as survey
            on answered.survey_id = survey.survey_id
        where answered.verdict = 'accepted'
    {% else %}
        {% set day = {
            "school": "null",
            "state_report": "null",
            "student_demographic": "coalesce(try_cast(nullif(start_date, '') as date), delivered_on)",
            "student_school_enrollment": "entry_date",
            "survey": "opened",
        }.get(entity, "date") %}
        select
            *,
            {{ "''" if entity in ("student_demographic", "survey", "state_report") else "school_id" }} as coded_at,
            {{
                (
                    "calendar_id"
                    if entity in ("student_school_enrollment", "calendar_date", "attendance_event")
                    else "''"
                )
            }} as coded_calendar,
            cast({{ day }} as date) as coded_on
        from {{ judged }}
        where verdict = 'accepted'
    {% endif %}
{% endmacro %}

{# The school year of a day for crosswalks; 0 where the day is not known: then only rows for all years apply. #}
{% macro coded_year(day) -%}
    coalesce({{ school_year_of(day, "(select school_year_start from " ~ source("control", "run_context") ~ ")") }}, 0)
{%- endmacro %}

{# A cell that says yes or no; empty or anything else is null, which is neither. #}
{% macro read_boolean(column) -%}
    case
        when lower(trim({{ column }})) in ('true', 'yes', 'y', '1')
        then true
        when lower(trim({{ column }})) in ('false', 'no', 'n', '0')
        then false
    end
{%- endmacro %}
