-- Nothing is lost: for every live file and entity, what landing read is what it passed on, refused, filtered or
-- collapsed,
-- and what it passed on is what staging judged.
with
    judged as (
        {% for entity in contract_entities() %}
            select file_no, count(*) as judged_rows
            from {{ ref("stg_" ~ entity ~ "__judged") }}
            group by file_no {{ "union all" if not loop.last }}
        {% endfor %}
    )
select
    account.source_id,
    account.entity,
    account.file_id,
    cast(account.delivery_no as bigint) as delivery_no,
    cast(account.rows_read as bigint) as rows_read,
    cast(
        account.rows_read
        - account.rows_accepted
        - account.rows_refused
        - account.rows_filtered
        - account.rows_collapsed as bigint
    ) as lost_in_landing,
    cast(
        case when account.is_live then account.rows_accepted - coalesce(judged.judged_rows, 0) else 0 end as bigint
    ) as lost_in_staging
from {{ source("control", "file_account") }} as account
left join judged on account.file_no = judged.file_no
