-- An invitation has no day of its own: it was sent when the survey opened.
select
    invitation.survey_id,
    invitation.student_key,
    {{ school_on("succession", "invitation.school_id", "survey.opened") }} as school_id
from {{ ref("stg_survey_invitation__judged") }} as invitation
left join
    (select survey_id, opened from {{ ref("stg_survey__judged") }} where verdict = 'accepted') as survey
    on invitation.survey_id = survey.survey_id
left join {{ ref("stg_school_succession") }} as succession on invitation.school_id = succession.school_id
where invitation.verdict = 'accepted'
