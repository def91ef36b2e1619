{{ config(materialized="table") }}
-- Every statement about a student: dated rows as they stand, and undated ones as deliveries first showed them, each
-- observed on the day of its delivery. What a delivery leaves out, it does not deny: the last value stays. A row that
-- has an end only holds until then.
with
    observed as (
        select
            case
                when change.student_system = context.student_system then change.student_key else link.student_key
            end as student_key,
            file.source_id,
            file.delivery_order,
            change.line,
            file.delivered_on,
            change.is_sex as sex,
            change.is_hispanic_latino as hispanic_latino,
            change.is_races as races,
            change.is_economic as economic,
            change.is_language as language,
            change.is_disability as disability
        from {{ source("raw", "student_demographic_change") }} as change
        inner join {{ source("control", "change_file") }} as file on change.change_no = file.change_no
        cross join {{ source("control", "run_context") }} as context
        left join
            {{ ref("stg_student_link") }} as link
            on change.student_system = link.system
            and change.student_key = link.key
        where change.change <> 'removed'
    )
select
    dated.student_key,
    file.source_id,
    cast(dated.file_no as bigint) as place,
    dated.line,
    coalesce(try_cast(nullif(dated.start_date, '') as date), date '1900-01-01') as start_date,
    try_cast(nullif(dated.end_date, '') as date) as end_date,
    cast(null as date) as observed_on,
    dated.sex,
    dated.hispanic_latino,
    dated.races,
    dated.economic,
    dated.language,
    dated.disability,
    dated.coded_on
from ({{ coded_rows("student_demographic") }}) as dated
inner join {{ source("control", "live_file") }} as file on dated.file_no = file.file_no
where coalesce(dated.start_date, '') || coalesce(dated.end_date, '') <> ''
union all
select
    student_key,
    source_id,
    delivery_order as place,
    line,
    cast(null as date) as start_date,
    cast(null as date) as end_date,
    delivered_on as observed_on,
    sex,
    hispanic_latino,
    races,
    economic,
    language,
    disability,
    delivered_on as coded_on
from observed
where student_key is not null
