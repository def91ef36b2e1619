-- School years for which an entity was collected at all. Where only events are rows, a year without any, between the
-- first with one and the as-of date, is a year of none, not a year without a source.
with
    source_entity as (select distinct entity from {{ source("control", "live_file") }}),
    first_action as (select min(school_year) as school_year from {{ ref("fct_student_discipline_action") }})
select distinct 'attendance_event' as entity, school_year
from {{ ref("attendance_school_day") }}
where is_taken
union
select distinct 'student_school_enrollment', school_year
from {{ ref("student_school_year") }}
union
select 'discipline_action', year.school_year
from (select distinct school_year from {{ ref("session_day") }} where is_elapsed) as year
cross join first_action
inner join source_entity on source_entity.entity = 'discipline_action'
where year.school_year >= coalesce(first_action.school_year, year.school_year)
union
select distinct 'survey_response', school_year
from {{ ref("fct_survey_response") }}
