select student_key
from {{ ref("stg_student") }}
union
select student_key
from {{ ref("stg_student_demographic") }}
union
select student_key
from {{ ref("stg_student_school_enrollment") }}
union
select student_key
from {{ ref("stg_attendance_event") }}
union
select student_key
from {{ ref("stg_discipline_action") }}
union
select student_key
from {{ ref("stg_discipline_incident_student") }}
union
select student_key
from {{ ref("stg_survey_invitation") }}
union
select student_key
from {{ ref("stg_survey_response") }}
where student_key is not null
union
select student_key
from {{ ref("stg_survey_questionnaire") }}
where student_key is not null
