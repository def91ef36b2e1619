-- Schools that became a part of another: from when, and of which.
select
    merged.school_id,
    cast(merged.effective_date as date) as merged_on,
    {{ school_on("succession", "merged.successor_school_id", "merged.effective_date") }} as successor_school_id
from {{ ref("stg_school_succession__judged") }} as merged
left join {{ ref("stg_school_succession") }} as succession on merged.successor_school_id = succession.school_id
where merged.verdict = 'accepted' and lower(trim(merged.kind)) = 'merged'
