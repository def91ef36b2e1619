{#
  Staging decides, for every landed row, whether it is accepted. It never drops one: a row that is
  not accepted carries a verdict, is counted, and (unless a later delivery restated it) goes to quarantine.

  verdict:
    accepted               the row speaks
    superseded             a later delivery restated it (not a fault, not quarantined)
    exact_duplicate        the same key and the same content twice in one delivery
    conflicting_duplicate  the same key with other content in one delivery; the last row speaks
    unknown_identifier     an id of another system that no student_identifier row joins

  student is the entity's student key column, or none. Rows keep file_no and line: their lineage.
#}
{% macro judged_rows(entity, key, student=none, date_column=none) %}
    with
        landed as (
            select r.*, f.delivery_no, f.newest_delivery_no, f.delivered_on, f.missing_rows
            from {{ source("raw", entity) }} as r
            inner join {{ source("control", "live_file") }} as f on r.file_no = f.file_no
        ),
        current_rows as (
            {% if date_column %}
                select landed.*, restated.file_no is not null as is_restated
                from landed
                left join
                    {{ restated_dates(entity, date_column) }} as restated
                    on landed.file_no = restated.file_no
                    and landed.{{ date_column }} = restated.restated_date
            {% else %}select *, false as is_restated from landed
            {% endif %}
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
            select resolved.*, row(*columns(resolved.* exclude ({{ lineage_columns() }})))::varchar as content
            from resolved
            semi join repeated_key on {{ same_key(key) }} and not is_unknown and not is_restated
        ),
        ranked as (
            select
                repeated.*,
                row_number() over (
                    partition by {{ key | join(", ") }} order by delivery_no desc, file_no desc, line desc
                ) as place,
                max(delivery_no) over (partition by {{ key | join(", ") }}) as newest,
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
        ranked.* exclude (is_unknown, is_restated, content, place, newest, least, most),
        case
            when place = 1
            then 'accepted'
            when delivery_no < newest
            then 'superseded'
            when least = most
            then 'exact_duplicate'
            else 'conflicting_duplicate'
        end as verdict
    from ranked
{% endmacro %}

{% macro lineage_columns() %}
    file_no, line, delivery_no, newest_delivery_no, delivered_on, missing_rows, is_unknown, is_restated
{% endmacro %}

{% macro same_key(key) %}
    {% for k in key %}
        resolved.{{ k }} is not distinct from repeated_key.key_{{ loop.index }}{{ " and " if not loop.last }}
    {% endfor %}
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
  Yields code, code_school_id, code_school_year, code_calendar_id, meaning: small, to be hash-joined.
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
                    {{ school }} as school_id,
                    {{ school_year }} as school_year,
                    {{ calendar }} as calendar_id
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

{# A cell that says yes or no; empty or anything else is null, which is neither. #}
{% macro read_boolean(column) -%}
    case
        when lower(trim({{ column }})) in ('true', 'yes', 'y', '1')
        then true
        when lower(trim({{ column }})) in ('false', 'no', 'n', '0')
        then false
    end
{%- endmacro %}
