-- Students behind each share of source_coverage, for disclosure control: with a day not taken, and the rest.
select
    coverage.source_id,
    coverage.organization_id,
    coverage.period_start,
    month.students_not_taken,
    month.students - month.students_not_taken as students_rest
from {{ ref("source_coverage") }} as coverage
inner join
    {{ ref("audit_attendance_month") }} as month
    on coverage.organization_id = month.school_id
    and coverage.period_start = month.period_start
