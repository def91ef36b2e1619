{#
  Race roll-ups over the flags of one demographic row. Authority: U.S. Department of Education, Final
  Guidance of 2007 (72 FR 59266), as NCES NFES 2008-802 section 5.3 applies it. A race in a code that is
  not mapped yet counts as a race named, so that it can make "two or more", and alone is `unmapped`.
#}
{% macro race_ethnicity() -%}
    case
        when hispanic_latino = 'yes' or is_hispanic_race
        then 'hispanic'
        when hispanic_latino = 'unmapped'
        then 'unmapped'
        else {{ race_reported() }}
    end
{%- endmacro %}

{% macro race_reported() -%}
    case
        when is_two_or_more or races_named >= 2
        then 'two_or_more'
        when races_named = 0
        then case when is_hispanic_race then 'hispanic' else 'unknown' end
        when is_unmapped_race
        then 'unmapped'
        when is_american_indian_or_alaska_native
        then 'american_indian_or_alaska_native'
        when is_asian
        then 'asian'
        when is_black
        then 'black'
        when is_native_hawaiian_or_pacific_islander
        then 'native_hawaiian_or_pacific_islander'
        else 'white'
    end
{%- endmacro %}

{# Every race named, each between bars: |asian|black|. Two or more races that nobody named are unknown here. #}
{% macro race_in_combination() -%}
    case
        when races_named = 0 and not is_hispanic_race and coalesce(hispanic_latino, 'unknown') <> 'yes'
        then '|unknown|'
        else
            '|'
            || case when is_american_indian_or_alaska_native then 'american_indian_or_alaska_native|' else '' end
            || case when is_asian then 'asian|' else '' end
            || case when is_black then 'black|' else '' end
            || case when is_hispanic_race or hispanic_latino = 'yes' then 'hispanic|' else '' end
            || case when is_native_hawaiian_or_pacific_islander then 'native_hawaiian_or_pacific_islander|' else '' end
            || case when is_white then 'white|' else '' end
            || case when is_unmapped_race then 'unmapped|' else '' end
    end
{%- endmacro %}
