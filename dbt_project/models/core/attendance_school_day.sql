-- Whether a school took attendance on a session day, and on what evidence.
-- every_day: marks are the evidence of themselves. exceptions: the school said so (attendance_taken), or somebody was
-- marked, or nobody was but that is no surprise. It is a surprise when 7 exceptions or more were to be expected from
-- the
-- school's own rate on days with marks: the chance of none is then below exp(-7), one in a thousand. Integers only.
with
    -- One pass over the marks: there are as many as students and days.
    marked_by_file as (
        select school_id, date, file_no, sum(case when period = '' then 1 else 0 end) as whole_days
        from {{ ref("stg_attendance_event") }}
        group by school_id, date, file_no
    ),
    marked as (
        select school_id, date, sum(students) as marks
        from
            (
                select school_id, date, whole_days as students
                from marked_by_file
                union all
                select school_id, date, 1 as students
                from {{ ref("period_attendance_day") }}
            ) as student_day
        group by school_id, date
    ),
    mark_kind as (
        select
            mark.school_id,
            max(case when file.attendance_records = 'every_day' then 1 else 0 end) as has_every_day,
            max(case when file.attendance_records = 'exceptions' then 1 else 0 end) as has_exceptions
        from (select distinct school_id, file_no from marked_by_file) as mark
        inner join {{ source("control", "live_file") }} as file on mark.file_no = file.file_no
        group by mark.school_id
    ),
    evidence as (select distinct school_id, date from {{ ref("stg_attendance_taken") }}),
    evidence_school as (select distinct school_id from evidence),
    member as (
        select day.school_id, day.date, count(*) as members
        from {{ ref("enrollment_calendar") }} as spell
        inner join
            {{ ref("session_calendar_day") }} as day
            on spell.session_calendar_no = day.session_calendar_no
            and day.date >= spell.entry_date
            and (spell.exit_date is null or day.date <= spell.exit_date)
        where day.is_elapsed and day.is_session
        group by day.school_id, day.date
    ),
    day as (
        select
            session.school_id,
            session.school_year,
            session.date,
            session.is_settled,
            coalesce(member.members, 0) as members,
            coalesce(marked.marks, 0) as marks,
            case
                when coalesce(kind.has_every_day, 0) = 1
                then 'every_day'
                when coalesce(kind.has_exceptions, 0) = 1 or evidence_school.school_id is not null
                then 'exceptions'
                else 'none'
            end as attendance_records,
            evidence_school.school_id is not null as has_evidence_source,
            evidence.school_id is not null as has_evidence
        from {{ ref("session_day") }} as session
        left join member on session.school_id = member.school_id and session.date = member.date
        left join marked on session.school_id = marked.school_id and session.date = marked.date
        left join mark_kind as kind on session.school_id = kind.school_id
        left join evidence_school on session.school_id = evidence_school.school_id
        left join evidence on session.school_id = evidence.school_id and session.date = evidence.date
        where session.is_elapsed
    ),
    rated as (
        select
            day.*,
            sum(marks) over (partition by school_id, school_year) as year_marks,
            sum(case when marks > 0 then members else 0 end) over (partition by school_id, school_year) as year_members
        from day
    )
select
    school_id,
    school_year,
    date,
    is_settled,
    cast(members as bigint) as members,
    cast(marks as bigint) as marks,
    attendance_records,
    case
        attendance_records
        when 'none'
        then false
        when 'every_day'
        then marks > 0
        else
            has_evidence
            or marks > 0
            or (not has_evidence_source and year_members > 0 and members * year_marks < 7 * year_members)
    end as is_taken
from rated
