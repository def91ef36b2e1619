{# What one mark says, of a whole day or of a period of it. A part without its fraction is unknown. #}
{% macro mark_status(category, fraction) -%}
    case
        when {{ category }} in ('absent', 'absent_excused', 'absent_unexcused', 'absent_suspension')
        then 'absent'
        when {{ category }} = 'partial'
        then case when {{ fraction }} is null then 'unknown' else 'present' end
        when {{ category }} in ('present', 'tardy', 'not_taken')
        then {{ category }}
        else 'unknown'
    end
{%- endmacro %}

{# Share missed of the day or period; null where the mark does not say. #}
{% macro mark_fraction(category, fraction) -%}
    case
        when {{ category }} in ('absent', 'absent_excused', 'absent_unexcused', 'absent_suspension')
        then coalesce({{ fraction }}, 1)
        when {{ category }} in ('present', 'tardy')
        then coalesce({{ fraction }}, 0)
        when {{ category }} = 'partial'
        then {{ fraction }}
    end
{%- endmacro %}

{% macro mark_absence_type(category) -%}
    case
        {{ category }}
        when 'absent_excused'
        then 'excused'
        when 'absent_unexcused'
        then 'unexcused'
        when 'absent_suspension'
        then 'suspension'
        when 'absent'
        then 'unknown'
    end
{%- endmacro %}
