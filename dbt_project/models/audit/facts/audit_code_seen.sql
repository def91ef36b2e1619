-- Each code of each column with each of its meanings: where, how often, and since when. Values that no crosswalk knows
-- are codes only while they are few or repeat, as in pipelines/code_report.py: a column of names mapped to a code by
-- mistake is one row without any of them.
with
    code_column as (
        select
            entity,
            column_name,
            count(distinct case when meaning = 'unmapped' then code end) as unmapped_codes,
            coalesce(sum(case when meaning = 'unmapped' then coded_rows end), 0) as unmapped_rows
        from {{ ref("stg_code") }}
        group by entity, column_name
    ),
    shown as (
        select
            stg_code.*,
            case
                when stg_code.meaning <> 'unmapped'
                then stg_code.code
                when code_column.unmapped_codes <= 10
                then stg_code.code
                when code_column.unmapped_codes <= 60 and code_column.unmapped_rows >= 2 * code_column.unmapped_codes
                then stg_code.code
                else '(not a code list)'
            end as shown_code
        from {{ ref("stg_code") }} as stg_code
        inner join
            code_column on stg_code.entity = code_column.entity and stg_code.column_name = code_column.column_name
    )
select
    entity,
    column_name,
    crosswalk,
    shown_code as code,
    meaning,
    cast(sum(coded_rows) as bigint) as coded_rows,
    cast(count(distinct nullif(school_id, '')) as bigint) as schools,
    min(first_seen) as first_seen,
    max(last_seen) as last_seen
from shown
group by entity, column_name, crosswalk, shown_code, meaning
