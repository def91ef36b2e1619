select student_key from {{ ref("stg_student__judged") }} where verdict = 'accepted'
