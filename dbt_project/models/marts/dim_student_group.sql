select context.load_id, student_group_id, category, label, sort_order, is_intersection, is_partition, component_groups
from {{ ref("student_group") }}
cross join {{ source("control", "run_context") }} as context
