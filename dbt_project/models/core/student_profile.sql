-- Every combination of values that occurs, numbered in a fixed order. Measures are added up by profile first and
-- spread to groups afterwards, so that ten more groups do not cost ten more scans of the days.
with
    combination as (
        select {{ categories() | join(", ") }}
        from {{ ref("student_span") }}
        union
        -- Always there: whoever has no student record at all.
        select
            {% for category in categories() %}
                {{ "'|unknown|'" if category == "race_in_combination" else "'unknown'" }}
                as {{ category }}{{ "," if not loop.last }}
            {% endfor %}
    )
select row_number() over (order by {{ categories() | join(", ") }}) as profile_id, {{ categories() | join(", ") }}
from combination
