-- Ids of other systems that join to no student, or to two: rows by source.
with
    unknown as (
        select source_id, count(*) as unresolved
        from {{ ref("stg_quarantine") }}
        where reason in ('unknown_identifier', 'contested_identifier')
        group by source_id
    )
select state.source_id, cast(coalesce(unknown.unresolved, 0) as bigint) as unresolved
from {{ source("control", "source_state") }} as state
left join unknown on state.source_id = unknown.source_id
