-- Days attended over recorded days, by what the student was on each day (a rate of days follows the day's status).
select
    student_key,
    school_id as organization_id,
    school_year,
    period_type,
    profile_id,
    attended_days as numerator,
    recorded_share as denominator,
    cast(null as date) as status_date,
    'recorded_days' as universe_rule
from {{ ref("attendance_summary") }}
where recorded_share > 0
