select school_id, cast(date as date) as date from {{ ref("stg_attendance_taken__judged") }} where verdict = 'accepted'
