{{ config(materialized="table") }}
with
    claim as (
        select
            r.* exclude (record_key, is_deleted),
            f.delivery_no,
            f.delivered_on,
            min(r.student_key) over (partition by r.system, r.key) as least_student,
            max(r.student_key) over (partition by r.system, r.key) as most_student,
            row_number() over (
                partition by r.student_key, r.system, r.key order by f.delivery_no desc, r.file_no desc, r.line desc
            ) as place,
            max(f.delivery_no) over (partition by r.student_key, r.system, r.key) as newest
        from {{ source("raw", "student_identifier") }} as r
        inner join {{ source("control", "live_file") }} as f on r.file_no = f.file_no
        anti join
            {{ restated_records("student_identifier") }} as restated
            on r.file_no = restated.file_no
            and r.line = restated.line
    )
select
    student_key,
    system,
    key,
    file_no,
    line,
    delivered_on,
    case
        when least_student <> most_student
        then 'contested_identifier'
        when place = 1
        then 'accepted'
        when delivery_no < newest
        then 'superseded'
        else 'exact_duplicate'
    end as verdict
from claim
union all by name
select r.student_key, r.system, r.key, r.file_no, r.line, f.delivered_on, 'superseded' as verdict
from {{ source("raw", "student_identifier") }} as r
inner join {{ source("control", "live_file") }} as f on r.file_no = f.file_no
semi join
    {{ restated_records("student_identifier") }} as restated on r.file_no = restated.file_no and r.line = restated.line
