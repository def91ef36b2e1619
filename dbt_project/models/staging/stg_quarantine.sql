{{ config(materialized="table") }}
-- Rows that staging did not accept, beside those that landing refused. No text, no id: where to look, and what to do.
with
    judged as (
        {% for entity in contract_entities() %}
            select '{{ entity }}' as entity, file_no, line, verdict
            from {{ ref("stg_" ~ entity ~ "__judged") }}
            where verdict not in ('accepted', 'superseded') {{ "union all" if not loop.last }}
        {% endfor %}
    )
select
    file.source_id,
    judged.entity,
    file.file_id,
    judged.line,
    cast(null as varchar) as column_name,
    judged.verdict as reason,
    case
        judged.verdict
        when 'exact_duplicate'
        then 'The same row stands twice in one delivery. Nothing is lost; send it once.'
        when 'conflicting_duplicate'
        then 'Two rows with one key differ in one delivery. The last one is used; correct the extract.'
        when 'unknown_identifier'
        then 'No student_identifier row joins this id to the district. Send the missing pair of ids.'
        when 'contested_identifier'
        then 'Two students claim this id. Correct the identifier extract.'
        when 'unknown_succession'
        then 'kind is neither renumbered nor merged. Write one of them.'
        when 'merger_without_date'
        then 'A merger needs the first day on which it holds. Write it in effective_date.'
        when 'circular_succession'
        then 'The successors lead back to the same school. Correct the row that is wrong.'
        when 'unknown_successor'
        then 'No school of the school extract has the successor''s id. Correct the id, or list the school.'
    end as remedy,
    cast(null as varchar) as refused_value
from judged
inner join {{ source("control", "live_file") }} as file on judged.file_no = file.file_no
union all
select source_id, entity, file_id, line, column_name, reason, remedy, refused_value
from {{ source("control", "refused_row") }}
