{#
  over / under in whole units of 1 / units, rounded half up, as states print rates: 2926 / 3040 with 1,000 units is 963
  (96.25 % is printed as 96.3). In whole numbers, since a rate in floating point may fall on the other side of a half.
  over and under are whole numbers of the same unit, not negative.
#}
{% macro half_up(over, under, units) -%}
    {{ whole_quotient("2 * (" ~ units ~ ") * (" ~ over ~ ") + (" ~ under ~ ")", "2 * (" ~ under ~ ")") }}
{%- endmacro %}
