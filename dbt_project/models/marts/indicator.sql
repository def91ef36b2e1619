-- The registry of dbt_project.yml as a table.
{% for indicator in var("indicators") %}
    select
        {% for field in [
            "indicator_id",
            "name",
            "domain",
            "entity",
            "indicator_type",
            "direction",
            "unit",
            "levels",
            "definition",
            "definition_version",
            "authority",
            "citation",
            "asset_label",
        ] %}
            {{ dbt.string_literal(dbt.escape_single_quotes(indicator[field])) }} as {{ field }},
        {% endfor %}
        cast({{ indicator.rate_min }} as {{ type_double() }}) as rate_min,
        cast({{ indicator.rate_max }} as {{ type_double() }}) as rate_max
        {{ "union all" if not loop.last }}
{% endfor %}
