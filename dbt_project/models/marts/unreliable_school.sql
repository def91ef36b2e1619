-- Schools whose figures of one domain gate 1 withholds, one row for each school year that the verdict touches.
select distinct verdict.domain, verdict.organization_id, year.school_year
from {{ source("gate", "gate_verdict") }} as verdict
inner join
    (select distinct school_year from {{ ref("session_day") }}) as year on verdict.school_year in (0, year.school_year)
where
    verdict.scope = 'school'
    and verdict.severity = 'critical'
    and verdict.outcome in ('fail', 'error')
    and verdict.organization_id <> 'all'
