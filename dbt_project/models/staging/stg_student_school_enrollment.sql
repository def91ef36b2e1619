-- A spell that an active-only extract no longer holds ended, as far as anyone knows, with the last file that held it.
-- Rows that name their record are parts of stays, as enrollments in classes are: a student belongs to the school until
-- the last of the parts that have begun ends, so that a short class within a long one takes no day away.
-- A spell that reaches beyond the merger of its school goes on at the school that answers from then on.
with
    told as (
        select
            spell.student_key,
            coalesce(spell.answering_id, spell.school_id) as school_id,
            cast(spell.entry_date as date) as entry_date,
            coalesce(
                try_cast(nullif(spell.exit_date, '') as date),
                case when missing_rows = 'active_only' and delivery_no < newest_delivery_no then delivered_on end
            ) as exit_date,
            coalesce(spell.exit_date, '') = ''
            and missing_rows = 'active_only'
            and delivery_no < newest_delivery_no as is_exit_inferred,
            coalesce(grade_meaning.meaning, 'unknown') as grade,
            nullif(spell.calendar_id, '') as calendar_id,
            case
                when coalesce(spell.enrollment_type, '') = '' then 'home' else type_meaning.meaning
            end as enrollment_type,
            cast(
                coalesce(try_cast(nullif(spell.share_of_day, '') as decimal(9, 4)), 1) as decimal(9, 4)
            ) as share_of_day,
            {{ school_on("responsible", "nullif(spell.responsible_school_id, '')", "spell.entry_date") }}
            as responsible_school_id,
            record_key is not null as is_part
        from {{ ref("stg_student_school_enrollment__judged") }} as spell
        left join
            {{
                meanings(
                    ref("stg_student_school_enrollment__judged"),
                    "grade",
                    "grade",
                    school="school_id",
                    school_year=coded_year("cast(entry_date as date)"),
                    calendar="calendar_id",
                )
            }} as grade_meaning
            on {{
                same_meaning(
                    "grade_meaning",
                    "spell.grade",
                    school="spell.school_id",
                    school_year=coded_year("cast(spell.entry_date as date)"),
                    calendar="spell.calendar_id",
                )
            }}
        left join
            {{
                meanings(
                    ref("stg_student_school_enrollment__judged"),
                    "enrollment_type",
                    "enrollment_type",
                    school="school_id",
                    school_year=coded_year("cast(entry_date as date)"),
                    calendar="calendar_id",
                )
            }} as type_meaning
            on {{
                same_meaning(
                    "type_meaning",
                    "spell.enrollment_type",
                    school="spell.school_id",
                    school_year=coded_year("cast(spell.entry_date as date)"),
                    calendar="spell.calendar_id",
                )
            }}
        left join
            {{ ref("stg_school_succession") }} as responsible on spell.responsible_school_id = responsible.school_id
        where verdict = 'accepted'
    ),
    ended as (
        select
            *,
            case
                when is_part
                then
                    max(coalesce(exit_date, date '9999-12-31')) over (
                        partition by student_key, school_id, is_part
                        order by entry_date
                        rows between unbounded preceding and current row
                    )
                else coalesce(exit_date, date '9999-12-31')
            end as last_day
        from told
    ),
    spell as (
        select
            * exclude (is_part, last_day) replace (
                nullif(last_day, date '9999-12-31') as exit_date,
                is_exit_inferred and last_day = exit_date as is_exit_inferred
            )
        from ended
    ),
    part as (
        select *, school_id as began_at, entry_date as began_on
        from spell
        union all by name
        select
            spell.* replace (
                succession.step.school_id as school_id, cast(succession.step.valid_from as date) as entry_date
            ),
            spell.school_id as began_at,
            spell.entry_date as began_on
        from spell
        inner join
            (select school_id, unnest(steps) as step from {{ ref("stg_school_succession") }}) as succession
            on spell.school_id = succession.school_id
        where
            succession.step.valid_from > cast(spell.entry_date as varchar)
            and (spell.exit_date is null or cast(succession.step.valid_from as date) <= spell.exit_date)
    ),
    followed as (
        select
            part.*,
            lead(entry_date) over (partition by student_key, began_at, began_on order by entry_date) as goes_on_from
        from part
    )
select
    student_key,
    school_id,
    entry_date,
    coalesce(cast(goes_on_from - interval 1 day as date), exit_date) as exit_date,
    goes_on_from is null and is_exit_inferred as is_exit_inferred,
    grade,
    calendar_id,
    enrollment_type,
    share_of_day,
    responsible_school_id
from followed
-- Where the successor's own row begins on the day of the merger, that row speaks.
qualify row_number() over (partition by student_key, school_id, entry_date order by began_on desc) = 1
