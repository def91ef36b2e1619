-- Marks by period, rolled up to one row a student, school and day. Weights are whole numbers in ten-thousandths, and
-- nothing is decided on a quotient.
-- expected: the weight of the day's schedule, times the student's share of the day, times the day's own share of a full
-- session day unless the schedule is for that day alone. Without a schedule: the weight of the periods with a mark.
-- recorded: every_day: the readable marks. exceptions: all that was expected and is not marked as not taken.
-- missed: of what was recorded.
-- The day was not taken when less than half of what was expected was recorded. It is absent when half of what was
-- recorded or more was missed. It is unknown where a mark cannot be read, names a period that the schedule lacks, or is
-- an exception at a school without a schedule. A mark for the whole day speaks before marks by period.
with
    bell_day as (
        select distinct school_id, calendar_id, date, day_weight, is_for_the_day
        from {{ ref("bell_period") }}
        union all
        -- Where only calendars with an id have a schedule, whoever is under none of them has none.
        select named.school_id, '' as calendar_id, named.date, cast(null as bigint), false
        from (select distinct school_id, date from {{ ref("bell_period") }}) as named
        left join
            (select distinct school_id, date from {{ ref("bell_period") }} where calendar_id = '') as at_large
            on named.school_id = at_large.school_id
            and named.date = at_large.date
        where at_large.school_id is null
    ),
    -- Every mark, under each schedule that its student may be under: most often one.
    weighed as (
        select
            event.student_key,
            event.school_id,
            event.date,
            {{ mark_status("event.category", "event.fraction_absent") }} as status,
            {{ mark_absence_type("event.category") }} as absence_type,
            10000 * case when bell_day.day_weight is null then 1 else bell.weight end as units,
            case when bell_day.day_weight is null then 1 else bell.weight end
            * cast(10000 * {{ mark_fraction("event.category", "event.fraction_absent") }} as bigint) as missed_units,
            bell_day.calendar_id,
            bell_day.day_weight,
            bell_day.is_for_the_day,
            case when file.attendance_records = 'exceptions' then 0 else 1 end as is_every_day
        from {{ ref("stg_attendance_event") }} as event
        inner join {{ source("control", "live_file") }} as file on event.file_no = file.file_no
        cross join {{ source("control", "run_context") }} as context
        left join bell_day on event.school_id = bell_day.school_id and event.date = bell_day.date
        left join
            {{ ref("bell_period") }} as bell
            on bell_day.school_id = bell.school_id
            and bell_day.calendar_id = bell.calendar_id
            and bell_day.date = bell.date
            and event.period = bell.period
        where event.period <> '' and event.date <= context.as_of
    ),
    added as (
        select
            student_key,
            school_id,
            date,
            calendar_id,
            sum(case when status in ('present', 'tardy', 'absent') then units else 0 end) as marked_units,
            sum(case when status = 'not_taken' then units else 0 end) as not_taken_units,
            sum(case when status in ('present', 'tardy', 'absent') then missed_units else 0 end) as missed_units,
            sum(case when absence_type = 'suspension' then missed_units else 0 end) as suspension_units,
            sum(case when absence_type = 'unexcused' then missed_units else 0 end) as unexcused_units,
            sum(case when absence_type = 'excused' then missed_units else 0 end) as excused_units,
            sum(case when absence_type = 'unknown' then missed_units else 0 end) as untold_units,
            max(case when status = 'unknown' or units is null then 1 else 0 end) as is_unreadable,
            max(case when status = 'tardy' then 1 else 0 end) as is_tardy,
            max(day_weight) as day_weight,
            max(case when is_for_the_day then 1 else 0 end) as is_for_the_day,
            max(is_every_day) as is_every_day
        from weighed
        group by student_key, school_id, date, calendar_id
    ),
    own_calendar as (
        select added.student_key, added.school_id, added.date, added.calendar_id
        from added
        inner join
            {{ ref("enrollment_calendar") }} as spell
            on added.student_key = spell.student_key
            and added.school_id = spell.school_id
            and added.calendar_id = spell.calendar_id
            and added.date >= spell.entry_date
            and (spell.exit_date is null or added.date <= spell.exit_date)
        where added.calendar_id <> ''
    ),
    -- Days on which a student is expected for less than the whole schedule: few.
    part_of_day as (
        select spell.student_key, spell.school_id, day.date, spell.share_of_day, day.session_share
        from {{ ref("enrollment_calendar") }} as spell
        inner join
            {{ ref("session_calendar_day") }} as day
            on spell.session_calendar_no = day.session_calendar_no
            and day.date >= spell.entry_date
            and (spell.exit_date is null or day.date <= spell.exit_date)
        inner join (select distinct school_id from added) as marked on spell.school_id = marked.school_id
        where day.is_session and day.is_elapsed and (spell.share_of_day <> 1 or day.session_share <> 1)
    ),
    expected as (
        select
            added.*,
            case
                when added.day_weight is null
                then added.marked_units + added.not_taken_units
                else
                    cast(
                        10000
                        * added.day_weight
                        * coalesce(part_of_day.share_of_day, 1)
                        * case
                            when added.is_for_the_day = 1 then 1 else coalesce(part_of_day.session_share, 1)
                        end as bigint
                    )
            end as expected_units
        from added
        left join
            own_calendar
            on added.student_key = own_calendar.student_key
            and added.school_id = own_calendar.school_id
            and added.date = own_calendar.date
        left join
            part_of_day
            on added.student_key = part_of_day.student_key
            and added.school_id = part_of_day.school_id
            and added.date = part_of_day.date
        left join
            (
                select event.student_key, event.school_id, event.date
                from {{ ref("stg_attendance_event") }} as event
                inner join (select distinct school_id from added) as marked on event.school_id = marked.school_id
                where event.period = ''
            ) as whole_day
            on added.student_key = whole_day.student_key
            and added.school_id = whole_day.school_id
            and added.date = whole_day.date
        where
            whole_day.student_key is null
            and (added.calendar_id is null or added.calendar_id = coalesce(own_calendar.calendar_id, ''))
    ),
    recorded as (
        select
            expected.*,
            case
                when is_every_day = 1 or marked_units > expected_units - not_taken_units
                then marked_units
                else expected_units - not_taken_units
            end as recorded_units
        from expected
    ),
    judged as (
        select
            recorded.*,
            case
                when is_unreadable = 1 or (is_every_day = 0 and day_weight is null)
                then 'unknown'
                when recorded_units = 0 or 2 * recorded_units < expected_units
                then 'not_taken'
                when 2 * missed_units >= recorded_units
                then 'absent'
                when is_tardy = 1
                then 'tardy'
                else 'present'
            end as status
        from recorded
    )
select
    student_key,
    school_id,
    date,
    status,
    case
        when status in ('present', 'tardy', 'absent')
        then
            -- Cut off, not rounded: less than half of the day then never reads as half.
            cast(
                cast({{ whole_quotient("100000000 * missed_units", "recorded_units") }} as decimal(18, 0))
                * cast(0.00000001 as decimal(9, 8)) as decimal(9, 8)
            )
    end as fraction_absent,
    case
        when status not in ('present', 'tardy', 'absent') or missed_units = 0
        then null
        -- The type of the greatest weight; of equal ones, the first in this order.
        when
            suspension_units > 0
            and suspension_units >= unexcused_units
            and suspension_units >= excused_units
            and suspension_units >= untold_units
        then 'suspension'
        when unexcused_units > 0 and unexcused_units >= excused_units and unexcused_units >= untold_units
        then 'unexcused'
        when excused_units > 0 and excused_units >= untold_units
        then 'excused'
        when untold_units > 0
        then 'unknown'
    end as absence_type
from judged
