-- One row a source: did it arrive, and is it overdue by its own rhythm? Days are counted in the district's session
-- days.
-- A daily attendance source is as fresh as its last marked day, not as its last file.
with
    session as (select distinct date from {{ ref("session_day") }} where is_elapsed),
    marked as (
        select file.source_id, max(event.last_day) as last_day
        from (select file_no, max(date) as last_day from {{ ref("stg_attendance_event") }} group by file_no) as event
        inner join {{ source("control", "live_file") }} as file on event.file_no = file.file_no
        group by file.source_id
    ),
    state as (
        select
            source_state.*,
            case
                when expected = 'school_days' and marked.last_day is not null then marked.last_day else last_received
            end as fresh_to
        from {{ source("control", "source_state") }} as source_state
        left join marked on source_state.source_id = marked.source_id
    ),
    waited as (
        select state.source_id, count(session.date) as session_days_since
        from state
        left join session on session.date > state.fresh_to
        group by state.source_id
    ),
    judged as (
        select
            state.source_id,
            state.arrival,
            state.is_required,
            waited.session_days_since,
            case
                when state.fresh_to is null
                then 1
                when state.expected = 'school_days' and waited.session_days_since > state.settle_days
                then 1
                when state.expected = 'weekly' and waited.session_days_since > 5 + state.settle_days
                then 1
                when state.expected = 'term' and waited.session_days_since > 90 + state.settle_days
                then 1
                when state.expected = 'year' and waited.session_days_since > 180 + state.settle_days
                then 1
                else 0
            end as is_overdue
        from state
        inner join waited on state.source_id = waited.source_id
    )
select
    source_id,
    arrival,
    cast(session_days_since as bigint) as session_days_since,
    cast(case when is_required then is_overdue else 0 end as bigint) as required_overdue,
    cast(case when is_required then 0 else is_overdue end as bigint) as optional_overdue,
    cast(case when arrival in ('late', 'unreadable', 'held') then 1 else 0 end as bigint) as is_held_back
from judged
