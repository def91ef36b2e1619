{# The school year of a date, named by the year in which it ends. `start` is MMDD as a number: 701. #}
{% macro school_year_of(day, start) -%}
    cast(
        extract(year from {{ day }}) + case
            when {{ start }} > 101 and extract(month from {{ day }}) * 100 + extract(day from {{ day }}) >= {{ start }}
            then 1
            else 0
        end as bigint
    )
{%- endmacro %}
