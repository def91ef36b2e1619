{# What a cell adds up over its students. Exact decimals: a parallel sum of doubles differs from run to run. #}
{% macro cell_sums() %}
    count(*) as students,
    sum(case when numerator > 0 then 1 else 0 end) as students_numerator,
    sum(case when numerator < denominator then 1 else 0 end) as students_difference,
    sum(numerator) as numerator,
    sum(denominator) as denominator,
    sum(cast(numerator as decimal(14, 4)) * cast(numerator as decimal(14, 4))) as numerator_squared,
    sum(cast(numerator as decimal(14, 4)) * cast(denominator as decimal(14, 4))) as numerator_denominator,
    sum(cast(denominator as decimal(14, 4)) * cast(denominator as decimal(14, 4))) as denominator_squared
{% endmacro %}
