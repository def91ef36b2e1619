select coalesce(answering_id, school_id) as school_id, cast(date as date) as date
from {{ ref("stg_attendance_taken__judged") }}
where verdict = 'accepted'
