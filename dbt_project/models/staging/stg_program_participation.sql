select
    student_key,
    program_id,
    coalesce(nullif(lower(trim(program_type)), ''), 'unknown') as program_type,
    nullif(organization_id, '') as organization_id,
    try_cast(nullif(start_date, '') as date) as start_date,
    try_cast(nullif(end_date, '') as date) as end_date
from {{ ref("stg_program_participation__judged") }}
where verdict = 'accepted'
