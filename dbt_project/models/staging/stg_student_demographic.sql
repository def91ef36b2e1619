-- What a source said of a student, attribute by attribute. Null: the source does not carry the attribute.
-- 'unknown': it does, and the cell was empty. Rows without a start date hold for as long as nothing else is known.
select
    person.student_key,
    person.file_no,
    person.line,
    try_cast(nullif(person.start_date, '') as date) as start_date,
    try_cast(nullif(person.end_date, '') as date) as end_date,
    sex_meaning.meaning as sex,
    hispanic_meaning.meaning as hispanic_latino,
    economic_meaning.meaning as economic,
    language_meaning.meaning as language,
    disability_meaning.meaning as disability,
    person.races is not null or person.hispanic_latino is not null as has_race_question,
    coalesce(race.is_american_indian_or_alaska_native, false) as is_american_indian_or_alaska_native,
    coalesce(race.is_asian, false) as is_asian,
    coalesce(race.is_black, false) as is_black,
    coalesce(race.is_native_hawaiian_or_pacific_islander, false) as is_native_hawaiian_or_pacific_islander,
    coalesce(race.is_white, false) as is_white,
    coalesce(race.is_hispanic_race, false) as is_hispanic_race,
    coalesce(race.is_two_or_more, false) as is_two_or_more,
    coalesce(race.is_unmapped, false) as is_unmapped_race
from {{ ref("stg_student_demographic__judged") }} as person
left join {{ ref("stg_student_race") }} as race on person.file_no = race.file_no and person.line = race.line
left join
    {{ meanings(ref("stg_student_demographic__judged"), "sex", "sex") }} as sex_meaning
    on lower(trim(person.sex)) = sex_meaning.code
left join
    {{ meanings(ref("stg_student_demographic__judged"), "hispanic_latino", "yes_no") }} as hispanic_meaning
    on lower(trim(person.hispanic_latino)) = hispanic_meaning.code
left join
    {{ meanings(ref("stg_student_demographic__judged"), "economic", "economic") }} as economic_meaning
    on lower(trim(person.economic)) = economic_meaning.code
left join
    {{ meanings(ref("stg_student_demographic__judged"), "language", "language") }} as language_meaning
    on lower(trim(person.language)) = language_meaning.code
left join
    {{ meanings(ref("stg_student_demographic__judged"), "disability", "disability") }} as disability_meaning
    on lower(trim(person.disability)) = disability_meaning.code
where verdict = 'accepted'
