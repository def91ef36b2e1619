-- Groups that contain another group whose remainder nobody publishes: disclosure control watches the difference.
select 'race_in_combination:' || value as parent_group_id, 'race_ethnicity:' || value as child_group_id
from {{ ref("student_groups") }}
where category = 'race_ethnicity' and value not in ('two_or_more', 'unmapped')
union all
select 'race_reported:' || value, 'race_ethnicity:' || value
from {{ ref("student_groups") }}
where category = 'race_ethnicity' and value not in ('hispanic', 'unmapped')
union all
select 'race_in_combination:' || value, 'race_reported:' || value
from {{ ref("student_groups") }}
where category = 'race_reported' and value not in ('two_or_more', 'unknown', 'unmapped', 'hispanic')
