select history.student_key, spread.student_group_id, history.valid_from, history.valid_to
from {{ ref("dim_student_history") }} as history
inner join {{ ref("student_profile_group") }} as spread on history.profile_id = spread.profile_id
