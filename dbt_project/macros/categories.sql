{# The categories of student groups that a student's history holds, in the order of their columns. #}
{% macro categories() %}
    {{
        return(
            ["race_ethnicity", "race_reported", "race_in_combination", "sex", "economic", "language", "disability"]
        )
    }}
{% endmacro %}
