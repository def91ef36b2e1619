{{ config(materialized="table") }}
-- For every school id that another one answers for: which one, from which day. A chain is followed to its end; each
-- link holds from its own day, and not before the links before it. One row an id, its steps in order.
with recursive
    link as (
        select
            school_id,
            successor_school_id,
            case when lower(trim(kind)) = 'merged' then effective_date else '1900-01-01' end as valid_from
        from {{ ref("stg_school_succession__judged") }}
        where verdict = 'accepted'
    ),
    walk as (
        select school_id, successor_school_id as reached_id, valid_from, 1 as links
        from link
        union all
        select walk.school_id, link.successor_school_id, greatest(walk.valid_from, link.valid_from), walk.links + 1
        from walk
        inner join link on walk.reached_id = link.school_id
    ),
    step as (
        select school_id, valid_from, arg_max(reached_id, links) as reached_id from walk group by school_id, valid_from
    )
select school_id, list({valid_from:valid_from, school_id:reached_id} order by valid_from) as steps
from step
group by school_id
