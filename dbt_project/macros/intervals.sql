{#
  Intervals, in closed form. z is the 0.975 quantile of the normal distribution.
  Wilson, E. B. (1927): for head counts. Linearized ratio: for sums of days or answers, clustered by student,
  with the factor students / (students - 1); its bounds are cut at the rate's own range.
#}
{% macro z() %} 1.959963984540054{% endmacro %}

{# At 0 and at n the bound on that side is the count itself; the formula would leave a rounding residue beyond it. #}
{% macro wilson_bound(x, n, sign) -%}
    case
        when {{ x }} = {{ "0" if sign == "-" else n }}
        then {{ "0.0" if sign == "-" else "1.0" }}
        else
            (
                ({{ x }} + {{ z() }} * {{ z() }} / 2)
                {{ sign }} {{ z() }} * sqrt({{ x }} * ({{ n }} - {{ x }}) / {{ n }} + {{ z() }} * {{ z() }} / 4)
            )
            / ({{ n }} + {{ z() }} * {{ z() }})
    end
{%- endmacro %}

{% macro linearized_error(x, n, xx, xn, nn, students) -%}
    sqrt(
        (1.0 * {{ students }} / ({{ students }} - 1)) * case
            when
                {{ xx }} - 2 * ({{ x }} / {{ n }}) * {{ xn }} + ({{ x }} / {{ n }}) * ({{ x }} / {{ n }}) * {{ nn }} > 0
            then {{ xx }} - 2 * ({{ x }} / {{ n }}) * {{ xn }} + ({{ x }} / {{ n }}) * ({{ x }} / {{ n }}) * {{ nn }}
            else 0
        end
    )
    / {{ n }}
{%- endmacro %}

{# A percentage with one decimal, rounded half up from the counts themselves, never from a rounded rate. #}
{% macro display_percent(x, n) -%}
    cast(cast(floor((2000 * {{ x }} + {{ n }}) / (2 * {{ n }})) / 10 as decimal(6, 1)) as varchar) || ' %'
{%- endmacro %}
