{# Only these two statuses carry numbers. #}
{% macro is_shown() -%} (status in ('published', 'below_minimum_n')) {%- endmacro %}
