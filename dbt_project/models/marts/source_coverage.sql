-- What each source delivered: for attendance by school and month, for every source as a whole (the district's row).
with
    account as (
        select
            source_id,
            sum(rows_read) as rows_read,
            sum(rows_refused) as rows_refused,
            max(delivered_on) as last_received
        from {{ source("control", "file_account") }}
        group by source_id
    ),
    school_source as (
        select distinct event.school_id, file.source_id
        from (select distinct school_id, file_no from {{ ref("stg_attendance_event") }}) as event
        inner join {{ source("control", "live_file") }} as file on event.file_no = file.file_no
    )
select
    context.load_id,
    state.source_id,
    context.district_id as organization_id,
    context.school_year_starts_on as period_start,
    cast(case when state.is_received then 1 else 0 end as {{ type_double() }}) as share_received,
    cast(account.rows_refused as {{ type_double() }}) / nullif(account.rows_read, 0) as share_refused,
    cast(null as {{ type_double() }}) as share_not_taken,
    state.last_received
from {{ source("control", "source_state") }} as state
cross join {{ source("control", "run_context") }} as context
left join account on state.source_id = account.source_id
union all
select
    context.load_id,
    school_source.source_id,
    month.school_id as organization_id,
    month.period_start,
    cast(month.recorded_days as {{ type_double() }}) / nullif(month.expected_days, 0) as share_received,
    cast(null as {{ type_double() }}) as share_refused,
    cast(month.not_taken_days as {{ type_double() }}) / nullif(month.expected_days, 0) as share_not_taken,
    month.last_recorded as last_received
from {{ ref("audit_attendance_month") }} as month
inner join school_source on month.school_id = school_source.school_id
cross join {{ source("control", "run_context") }} as context
