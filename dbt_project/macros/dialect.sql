{#
  What engines spell differently, in one place. Models above staging use nothing else that only
  one engine knows, so that the same project runs on others.
#}
{% macro day_before(day) %} {{ return(adapter.dispatch("day_before", "equity")(day)) }}{% endmacro %}
{% macro default__day_before(day) %} cast({{ day }} - interval 1 day as date){% endmacro %}

{% macro day_after(day) %} {{ return(adapter.dispatch("day_after", "equity")(day)) }}{% endmacro %}
{% macro default__day_after(day) %} cast({{ day }} + interval 1 day as date){% endmacro %}

{% macro type_double() %} {{ return(adapter.dispatch("type_double", "equity")()) }}{% endmacro %}
{% macro default__type_double() %} double{% endmacro %}
{% macro duckdb__type_double() %} double{% endmacro %}

{# Division of whole numbers, without a remainder and never by way of floating point. #}
{% macro whole_quotient(over, under) %}
    {{ return(adapter.dispatch("whole_quotient", "equity")(over, under)) }}
{% endmacro %}
{% macro default__whole_quotient(over, under) %} (({{ over }}) div({{ under }})){% endmacro %}
{% macro duckdb__whole_quotient(over, under) %} divide({{ over }}, {{ under }}){% endmacro %}
