-- The figures of a sample district, as an analyst would write them who knows its files and its codes by heart.
-- It reads the same CSV files as `equity run`, and writes the indicator table and the student-day attendance fact as
-- Parquet. It keeps no pseudonyms, no lineage, no refused rows, no history of deliveries; it checks nothing, hides
-- nothing and publishes nothing. It is the yardstick of `make bench`, and an independent second answer: written from
-- the definitions (METHODS 1, 2.1 and 5), not from the models.
--
-- Variables: extracts (folder of CSV files), target (folder to write), as_of (DATE).

create macro extract_of(name) as table
    select * from read_csv(getvariable('extracts') || '/' || name, all_varchar = true, header = true);

-- Session days up to the as-of date, numbered within each school and year. The year ends on June 30.
create table session_day as
select
    school_id,
    cast(date as date) as date,
    year(cast(date as date) + interval 6 month) as school_year,
    row_number() over (partition by school_id, year(cast(date as date) + interval 6 month) order by date) as number
from extract_of('calendar.csv')
where calendar_event in ('Instructional day', 'Early release')
and cast(date as date) <= getvariable('as_of');

-- year_to_date: every year up to as many session days as the current one has had by now.
create table year_to_date as
with
    elapsed as (
        select school_id, count(*) as days
        from session_day
        where school_year = (select max(school_year) from session_day)
        group by school_id
    )
select school_id, school_year, max(date) as last_day
from session_day
left join elapsed using (school_id)
where number <= coalesce(days, (select max(days) from elapsed))
group by school_id, school_year;

-- What a student was, from when to when: one row a span, numbered, with the groups that it belongs to.
create table status as
with
    said as (
        select
            row_number() over () as status_id,
            student_id,
            cast(start_date as date) as start_date,
            coalesce(cast(end_date as date), date '9999-12-31') as end_date,
            case sex when 'F' then 'female' when 'M' then 'male' when 'X' then 'nonbinary' else 'unknown' end as sex,
            case economic
                when 'F' then 'disadvantaged' when 'R' then 'disadvantaged' when 'N' then 'not_disadvantaged' else 'unknown'
            end as economic,
            case language
                when 'EL' then 'english_learner' when 'EO' then 'not_english_learner'
                when 'RFEP' then 'not_english_learner' else 'unknown'
            end as language,
            case disability
                when 'IEP' then 'idea' when '504' then 'section_504' when 'NONE' then 'none' else 'unknown'
            end as disability,
            hispanic_latino is not distinct from 'Y' as is_hispanic,
            list_transform(
                coalesce(string_split(races, '|'), []),
                lambda code: case code
                    when 'I' then 'american_indian_or_alaska_native' when 'A' then 'asian' when 'B' then 'black'
                    when 'P' then 'native_hawaiian_or_pacific_islander' when 'W' then 'white'
                end
            ) as races
        from extract_of('demographics.csv')
    ),
    rolled_up as (
        select
            said.*,
            case len(races) when 0 then 'unknown' when 1 then races[1] else 'two_or_more' end as race_reported,
            case when is_hispanic then 'hispanic' else race_reported end as race_ethnicity,
            case when is_hispanic then list_append(races, 'hispanic') when len(races) = 0 then ['unknown'] else races end
                as race_in_combination
        from said
    )
select
    status_id,
    student_id,
    start_date,
    end_date,
    list_concat(
        [
            'all',
            'race_ethnicity:' || race_ethnicity,
            'race_reported:' || race_reported,
            'sex:' || sex,
            'economic:' || economic,
            'language:' || language,
            'disability:' || disability,
            'disability:' || disability || '+race_ethnicity:' || race_ethnicity
        ],
        list_transform(race_in_combination, lambda race: 'race_in_combination:' || race)
    ) as groups
from rolled_up
union all
-- Nothing is known of a student on a day that no span covers.
select
    0, null, null, null,
    [
        'all', 'race_ethnicity:unknown', 'race_reported:unknown', 'sex:unknown', 'economic:unknown', 'language:unknown',
        'disability:unknown', 'disability:unknown+race_ethnicity:unknown', 'race_in_combination:unknown'
    ];

create table spell as
select
    student_id,
    school_id,
    cast(entry_date as date) as entry_date,
    -- A later stay at the same school ends the earlier one.
    least(
        coalesce(cast(exit_date as date), date '9999-12-31'),
        coalesce(
            lead(cast(entry_date as date)) over (partition by student_id, school_id order by entry_date) - 1,
            date '9999-12-31'
        )
    ) as exit_date,
    cast(share_of_day as decimal(9, 4)) as share_of_day
from extract_of('enrollment.csv');

-- The student-day fact: what was recorded at a school on a day, or that nothing was. Where only exceptions are rows,
-- a member without one was present on a day on which the school took attendance.
create table attendance as
with
    mark as (
        select
            student_id,
            school_id,
            cast(date as date) as date,
            case
                when category in ('AE', 'AU', 'SU') then 'absent'
                when category = 'T' then 'tardy'
                when category = 'P' or fraction_absent is not null then 'present'
                else 'unknown'
            end as status,
            coalesce(cast(fraction_absent as decimal(9, 4)), if(status = 'absent', 1, 0)) as fraction_absent,
            case category
                when 'AE' then 'excused' when 'AU' then 'unexcused' when 'SU' then 'suspension'
            end as absence_type
        from read_csv(
            [getvariable('extracts') || '/attendance_daily_*.csv', getvariable('extracts') || '/attendance_exceptions_*.csv'],
            all_varchar = true, header = true
        )
        where cast(date as date) <= getvariable('as_of')
    ),
    evidence as (
        select school_id, cast(date as date) as date from extract_of('attendance_taken_*.csv')
    ),
    taken as (
        select school_id, date from evidence
        union
        select school_id, date from mark where school_id in (select school_id from evidence)
    ),
    member as (
        select spell.student_id, spell.school_id, day.date, spell.share_of_day, taken.date is not null as is_taken
        from spell
        inner join session_day as day
            on spell.school_id = day.school_id and day.date between spell.entry_date and spell.exit_date
        left join taken on day.school_id = taken.school_id and day.date = taken.date
    ),
    met as (
        select
            student_id,
            school_id,
            date,
            case
                when mark.status is not null then mark.status when member.is_taken then 'present' else 'not_taken'
            end as status,
            case when mark.status is not null then mark.fraction_absent when member.is_taken then 0 end
                as fraction_absent,
            mark.absence_type,
            coalesce(member.share_of_day, 1) as day_share,
            member.share_of_day is not null as is_enrolled
        from member
        full join mark using (student_id, school_id, date)
    )
select
    met.*,
    day.school_year,
    day.date is not null as is_session,
    met.date <= getvariable('as_of') - 2 as is_settled,
    coalesce(met.date <= year_to_date.last_day, false) as is_year_to_date,
    coalesce(status.status_id, 0) as status_id
from met
left join session_day as day on met.school_id = day.school_id and met.date = day.date
left join year_to_date on met.school_id = year_to_date.school_id and day.school_year = year_to_date.school_year
left join status
    on met.student_id = status.student_id and met.date between status.start_date and status.end_date;

-- Days added up, for each student, school, span and part of the year.
create table days as
with
    part as (
        select
            student_id,
            school_id,
            school_year,
            is_year_to_date,
            status_id,
            count(*) filter (is_recorded) as recorded,
            count(*) filter (is_recorded and 2 * fraction_absent >= 1) as absent,
            count(*) filter (is_recorded or (is_enrolled and is_settled)) as expected,
            sum(day_share * (1 - fraction_absent)) filter (is_recorded) as attended,
            sum(day_share) filter (is_recorded) as possible,
            max(date) filter (is_recorded) as last_day
        from (select *, status in ('present', 'tardy', 'absent') as is_recorded from attendance where is_session)
        group by all
    )
select period_type, part.*
from part
cross join (values ('year'), ('year_to_date')) as period (period_type)
where period_type = 'year' or is_year_to_date;

-- The same for the few with days at several schools, each day once: recorded where any school recorded it, absent
-- when half or more of what was recorded was missed.
create table days_once as
with
    at_several as (
        select student_id from days group by student_id having min(school_id) <> max(school_id)
    ),
    student_day as (
        select
            student_id,
            school_year,
            period_type,
            date,
            bool_or(is_recorded) as is_recorded,
            bool_or(is_recorded or (is_enrolled and is_settled)) as is_expected,
            2 * sum(day_share * fraction_absent) filter (is_recorded) >= sum(day_share) filter (is_recorded) as is_absent
        from (select *, status in ('present', 'tardy', 'absent') as is_recorded from attendance where is_session)
        semi join at_several using (student_id)
        cross join (values ('year'), ('year_to_date')) as period (period_type)
        where period_type = 'year' or is_year_to_date
        group by all
    )
select
    student_id,
    school_year,
    period_type,
    count(*) filter (is_recorded) as recorded,
    count(*) filter (is_absent) as absent,
    count(*) filter (is_expected) as expected,
    max(date) filter (is_recorded) as last_day
from student_day
group by all
union all by name
select
    student_id,
    school_year,
    period_type,
    sum(recorded) as recorded,
    sum(absent) as absent,
    sum(expected) as expected,
    max(last_day) as last_day
from days
anti join at_several using (student_id)
group by all;

create table enrolled as
select
    spell.student_id,
    spell.school_id,
    day.school_year,
    period_type,
    max(day.date) as last_day
from spell
inner join session_day as day
    on spell.school_id = day.school_id and day.date between spell.entry_date and spell.exit_date
inner join year_to_date on day.school_id = year_to_date.school_id and day.school_year = year_to_date.school_year
cross join (values ('year'), ('year_to_date')) as period (period_type)
where period_type = 'year' or day.date <= year_to_date.last_day
group by all;

create table suspended as
select
    student_id,
    action.school_id,
    school_year,
    period_type,
    min(cast(date as date)) as first_day
from extract_of('discipline_actions.csv') as action
inner join year_to_date
    on action.school_id = year_to_date.school_id
    and year(cast(date as date) + interval 6 month) = school_year
cross join (values ('year'), ('year_to_date')) as period (period_type)
where action = 'OSS' and cast(date as date) <= getvariable('as_of')
and (period_type = 'year' or cast(date as date) <= year_to_date.last_day)
group by all;

-- One row a student, organization and indicator. status_day: the day whose status counts, where status_id does not say.
create table measured as
with
    chronic as (
        select
            'chronic_absence' as indicator_id, school_id as organization_id, student_id, school_year, period_type,
            sum(recorded) as recorded, sum(absent) as absent, sum(expected) as expected, max(last_day) as status_day
        from days
        group by all
        union all by name
        -- Each student once, over all schools: district only.
        select
            'chronic_absence_local' as indicator_id, 'sample' as organization_id, student_id, school_year, period_type,
            recorded, absent, expected, last_day as status_day
        from days_once
    ),
    suspension as (
        select
            coalesce(enrolled.student_id, suspended.student_id) as student_id,
            coalesce(enrolled.school_id, suspended.school_id) as school_id,
            coalesce(enrolled.school_year, suspended.school_year) as school_year,
            coalesce(enrolled.period_type, suspended.period_type) as period_type,
            suspended.first_day,
            enrolled.last_day
        from enrolled
        full join suspended
            on enrolled.student_id = suspended.student_id
            and enrolled.school_id = suspended.school_id
            and enrolled.school_year = suspended.school_year
            and enrolled.period_type = suspended.period_type
    ),
    -- The district counts a student once: by the first suspension anywhere, else by the last enrolled day.
    head_count as (
        select student_id, school_id as organization_id, school_year, period_type, first_day, last_day
        from suspension
        union all
        select student_id, 'sample', school_year, period_type, min(first_day), max(last_day)
        from suspension
        group by all
    ),
    answer as (
        select
            coalesce(answer.student_id, answer.response_id) as student_id,
            coalesce(answer.school_id, invited.school_id) as school_id,
            year(cast(survey.opened as date) + interval 6 month) as school_year,
            cast(coalesce(answer.submitted, survey.closed) as date) as submitted,
            answer.answer in ('4', '5') as is_favorable
        from extract_of('survey_responses_*.csv') as answer
        inner join extract_of('survey_waves.csv') as survey using (survey_id)
        left join extract_of('survey_invitations_*.csv') as invited
            on answer.survey_id = invited.survey_id and answer.student_id = invited.student_id
        where answer.construct = 'belonging' and survey.universe = 'student'
        and answer.answer in ('1', '2', '3', '4', '5')
        and cast(survey.opened as date) <= getvariable('as_of')
    )
select
    'attendance_rate' as indicator_id, organization_id, student_id, school_year, period_type,
    status_id, null as status_day, attended as numerator, possible as denominator
from days
cross join lateral (values (school_id), ('sample')) as place (organization_id)
where possible > 0
union all by name
-- The district's chronic absence is the sum over schools, as EDFacts counts.
select
    indicator_id, place.organization_id, student_id, school_year, period_type, status_day,
    if(100 * absent >= 10 * recorded, 1, 0) as numerator, 1 as denominator
from chronic
cross join lateral (
    select chronic.organization_id as organization_id
    union all
    select 'sample' where chronic.organization_id <> 'sample'
) as place
where recorded >= 10 and 100 * recorded >= 90 * expected
union all by name
select
    'out_of_school_suspension' as indicator_id, organization_id, student_id, school_year, period_type,
    coalesce(first_day, last_day) as status_day, if(first_day is null, 0, 1) as numerator, 1 as denominator
from head_count
union all by name
select
    'enrollment' as indicator_id, organization_id, student_id, school_year, period_type,
    last_day as status_day, 1 as numerator, 1 as denominator
from head_count
where last_day is not null
union all by name
select
    'survey_belonging_favorable' as indicator_id, organization_id, student_id, school_year, period_type,
    max(submitted) as status_day, count(*) filter (is_favorable) as numerator, count(*) as denominator
from answer
inner join year_to_date using (school_id, school_year)
cross join (values ('year'), ('year_to_date')) as period (period_type)
cross join lateral (values (school_id), ('sample')) as place (organization_id)
where period_type = 'year' or submitted <= year_to_date.last_day
group by all;

create table indicator_by_group as
with
    placed as (
        select measured.* replace (coalesce(measured.status_id, status.status_id, 0) as status_id)
        from measured
        left join status
            -- One equality, so that the engine hashes; a test of the left side alone would compare every pair.
            on if(measured.status_id is null, measured.student_id, null) = status.student_id
            and measured.status_day between status.start_date and status.end_date
    ),
    cell as (
        select
            school_year,
            period_type,
            organization_id,
            indicator_id,
            student_group_id,
            sum(numerator) as numerator,
            sum(denominator) as denominator,
            count(distinct student_id) as students
        from placed
        inner join (select status_id, unnest(groups) as student_group_id from status) as spread using (status_id)
        group by all
    )
select
    school_year,
    period_type,
    organization_id,
    indicator_id,
    student_group_id,
    cast(numerator as double) as numerator,
    cast(denominator as double) as denominator,
    students,
    if(indicator_id = 'enrollment', null, cast(numerator as double) / cast(denominator as double)) as rate
from cell;

copy (select * from indicator_by_group order by all)
to (getvariable('target') || '/indicator_by_group.parquet') (format parquet, compression zstd);
copy (select * exclude (status_id) from attendance order by student_id, school_id, date)
to (getvariable('target') || '/fct_student_daily_attendance.parquet') (format parquet, compression zstd);
