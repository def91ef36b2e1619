select survey_id, student_key, school_id from {{ ref("stg_survey_invitation__judged") }} where verdict = 'accepted'
