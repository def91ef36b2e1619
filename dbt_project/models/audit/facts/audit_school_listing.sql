-- Schools that records name, and whether the district lists them.
select school_id as organization_id, cast(case when is_listed then 0 else 1 end as bigint) as is_unlisted
from {{ ref("school") }}
