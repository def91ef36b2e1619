-- What a source said of a student, attribute by attribute. Null: the source does not carry the attribute.
-- 'unknown': it does, and the cell was empty. Either start_date is there or observed_on, the day of the delivery that
-- first showed an undated value. That one is in the codes of the year in which its file came.
with person as (select *, {{ coded_year("coded_on") }} as coded_in from {{ ref("stg_student_statement") }})
select
    person.student_key,
    person.source_id,
    person.place,
    person.line,
    person.start_date,
    person.end_date,
    person.observed_on,
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
from person
left join {{ ref("stg_student_race") }} as race on person.races = race.races and person.coded_in = race.coded_in
left join
    {{ meanings("person", "sex", "sex", school_year="coded_in") }} as sex_meaning
    on {{ same_meaning("sex_meaning", "person.sex", school_year="person.coded_in") }}
left join
    {{ meanings("person", "hispanic_latino", "yes_no", school_year="coded_in") }} as hispanic_meaning
    on {{ same_meaning("hispanic_meaning", "person.hispanic_latino", school_year="person.coded_in") }}
left join
    {{ meanings("person", "economic", "economic", school_year="coded_in") }} as economic_meaning
    on {{ same_meaning("economic_meaning", "person.economic", school_year="person.coded_in") }}
left join
    {{ meanings("person", "language", "language", school_year="coded_in") }} as language_meaning
    on {{ same_meaning("language_meaning", "person.language", school_year="person.coded_in") }}
left join
    {{ meanings("person", "disability", "disability", school_year="coded_in") }} as disability_meaning
    on {{ same_meaning("disability_meaning", "person.disability", school_year="person.coded_in") }}
