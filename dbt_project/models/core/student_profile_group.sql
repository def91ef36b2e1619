-- Which groups a profile belongs to: `all`, its value in each category, and the configured intersections.
with
    simple as (
        {% for category in categories() if category != "race_in_combination" %}
            select profile_id, '{{ category }}' as category, '{{ category }}:' || {{ category }} as student_group_id
            from {{ ref("student_profile") }}
            union all
        {% endfor %}
        select profile.profile_id, 'race_in_combination', 'race_in_combination:' || named.value
        from {{ ref("student_profile") }} as profile
        inner join
            {{ ref("student_groups") }} as named
            on named.category = 'race_in_combination'
            and profile.race_in_combination like '%|' || named.value || '|%'
    )
select profile_id, 'all' as student_group_id
from {{ ref("student_profile") }}
union all
select profile_id, student_group_id
from simple
union all
select a.profile_id, a.student_group_id || '+' || b.student_group_id
from {{ source("control", "intersection") }} as crossed
inner join simple as a on crossed.category_a = a.category
inner join simple as b on crossed.category_b = b.category and a.profile_id = b.profile_id
