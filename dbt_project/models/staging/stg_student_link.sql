{{ config(materialized="table") }}
-- Ids of other systems, joined to the district's own. An id that two students claim joins to neither.
with
    claim as (
        select distinct r.system, r.key, r.student_key
        from {{ source("raw", "student_identifier") }} as r
        inner join {{ source("control", "live_file") }} as f on r.file_no = f.file_no
        anti join
            {{ restated_records("student_identifier") }} as restated
            on r.file_no = restated.file_no
            and r.line = restated.line
    )
select system, key, min(student_key) as student_key
from claim
group by system, key
having count(*) = 1
