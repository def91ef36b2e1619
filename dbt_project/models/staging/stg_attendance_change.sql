-- Marks that a delivery changed on a day of which an earlier one had spoken, in their meanings: one row a mark and day
-- of delivery. Two deliveries of one day are one change, from before the first to after the last. A category is null
-- where there was no mark.
with
    landed as (
        select
            file.source_id,
            file.attendance_records,
            file.delivered_on,
            file.delivery_order,
            case
                when change.student_system = context.student_system then change.student_key else link.student_key
            end as student_key,
            change.school_id,
            {{ school_on("succession", "change.school_id", "change.date") }} as answering_id,
            change.date,
            lower(coalesce(change.period, '')) as period,
            change.was_category,
            change.was_calendar_id,
            change.was_fraction_absent,
            change.is_category,
            change.is_calendar_id,
            change.is_fraction_absent
        from {{ source("raw", "attendance_event_change") }} as change
        inner join {{ source("control", "change_file") }} as file on change.change_no = file.change_no
        cross join {{ source("control", "run_context") }} as context
        left join
            {{ ref("stg_student_link") }} as link
            on change.student_system = link.system
            and change.student_key = link.key
        left join {{ ref("stg_school_succession") }} as succession on change.school_id = succession.school_id
    ),
    changed as (
        select
            source_id,
            student_key,
            answering_id,
            min(school_id) as school_id,
            cast(date as date) as date,
            period,
            delivered_on as changed_on,
            any_value(attendance_records) as attendance_records,
            arg_min({was:was_category}, delivery_order).was as was_category,
            arg_min({was:was_calendar_id}, delivery_order).was as was_calendar_id,
            arg_min({was:was_fraction_absent}, delivery_order).was as was_fraction_absent,
            arg_max({is_now:is_category}, delivery_order).is_now as is_category,
            arg_max({is_now:is_calendar_id}, delivery_order).is_now as is_calendar_id,
            arg_max({is_now:is_fraction_absent}, delivery_order).is_now as is_fraction_absent
        from landed
        where student_key is not null
        group by source_id, student_key, answering_id, date, period, delivered_on
    ),
    read as (
        select
            changed.source_id,
            changed.student_key,
            changed.answering_id as school_id,
            changed.date,
            changed.period,
            changed.changed_on,
            changed.attendance_records,
            was.meaning as was_category,
            try_cast(nullif(changed.was_fraction_absent, '') as decimal(9, 4)) as was_fraction_absent,
            now.meaning as is_category,
            try_cast(nullif(changed.is_fraction_absent, '') as decimal(9, 4)) as is_fraction_absent
        from changed
        left join
            {{
                meanings(
                    "changed",
                    "was_category",
                    "attendance_category",
                    school="school_id",
                    school_year=coded_year("date"),
                    calendar="was_calendar_id",
                )
            }} as was
            on {{
                same_meaning(
                    "was",
                    "changed.was_category",
                    school="changed.school_id",
                    school_year=coded_year("changed.date"),
                    calendar="changed.was_calendar_id",
                )
            }}
        left join
            {{
                meanings(
                    "changed",
                    "is_category",
                    "attendance_category",
                    school="school_id",
                    school_year=coded_year("date"),
                    calendar="is_calendar_id",
                )
            }} as now
            on {{
                same_meaning(
                    "now",
                    "changed.is_category",
                    school="changed.school_id",
                    school_year=coded_year("changed.date"),
                    calendar="changed.is_calendar_id",
                )
            }}
    )
select *, cast(changed_on - date as bigint) as lag_days
from read
where was_category is distinct from is_category or was_fraction_absent is distinct from is_fraction_absent
