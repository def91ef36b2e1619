{# Schools whose figures of one domain gate 1 withholds: organization_id, school_year (0 for every year). #}
{% macro unreliable_schools(domain) %}
    select distinct organization_id, school_year
    from {{ source("gate", "gate_verdict") }}
    where
        domain = '{{ domain }}'
        and scope = 'school'
        and severity = 'critical'
        and outcome in ('fail', 'error')
        and organization_id <> 'all'
{% endmacro %}
