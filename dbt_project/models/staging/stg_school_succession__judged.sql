{{ config(materialized="table") }}
-- Beside the verdicts that every row may get, a succession is refused that leads nowhere or in a circle: taken as it
-- stands, it would take a school's history away.
with recursive
    judged as ({{ judged_rows("school_succession", ["school_id"]) }}),
    stated as (
        select
            *,
            lower(trim(kind)) as stated_kind,
            case
                when lower(trim(kind)) not in ('renumbered', 'merged')
                then 'unknown_succession'
                when lower(trim(kind)) = 'merged' and coalesce(effective_date, '') = ''
                then 'merger_without_date'
            end as fault
        from judged
    ),
    link as (select school_id, successor_school_id from stated where verdict = 'accepted' and fault is null),
    -- A union without repetitions ends also where the links go in a circle.
    reached as (
        select school_id, successor_school_id as reached_id
        from link
        union
        select reached.school_id, link.successor_school_id as reached_id
        from reached
        inner join link on reached.reached_id = link.school_id
    ),
    circular as (select distinct school_id from reached where school_id = reached_id),
    listed as (select distinct school_id from {{ ref("stg_school__judged") }} where verdict = 'accepted'),
    known as (
        select school_id
        from listed
        union
        select school_id
        from link
    ),
    has_list as (select count(*) > 0 as is_there from listed)
select
    stated.* exclude (verdict, stated_kind, fault),
    case
        when verdict <> 'accepted'
        then verdict
        when fault is not null
        then fault
        when circular.school_id is not null
        then 'circular_succession'
        when has_list.is_there and known.school_id is null
        then 'unknown_successor'
        else 'accepted'
    end as verdict
from stated
cross join has_list
left join circular on stated.school_id = circular.school_id
left join known on stated.successor_school_id = known.school_id
