-- As chronic absence, with each student's days at all schools added up first. Schools whose attendance cannot be relied
-- on are left out day by day here, since the district's figure is not a sum over schools.
{{ chronic_absence("(select district_id from " ~ source("control", "run_context") ~ ")", district_wide=true) }}
