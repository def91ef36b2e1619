-- What a cell of races says in a school year, one flag a race. Cells hold several races separated by `|`.
with
    reported as (
        select distinct races, {{ coded_year("coded_on") }} as coded_in, unnest(string_split(races, '|')) as race
        from {{ ref("stg_student_statement") }}
        where coalesce(races, '') <> ''
    )
select
    reported.races,
    reported.coded_in,
    bool_or(x.meaning = 'american_indian_or_alaska_native') as is_american_indian_or_alaska_native,
    bool_or(x.meaning = 'asian') as is_asian,
    bool_or(x.meaning = 'black') as is_black,
    bool_or(x.meaning = 'native_hawaiian_or_pacific_islander') as is_native_hawaiian_or_pacific_islander,
    bool_or(x.meaning = 'white') as is_white,
    bool_or(x.meaning = 'hispanic') as is_hispanic_race,
    bool_or(x.meaning = 'two_or_more') as is_two_or_more,
    bool_or(x.meaning = 'unmapped') as is_unmapped
from reported
left join
    {{ meanings("reported", "race", "race", school_year="coded_in") }} as x
    on {{ same_meaning("x", "reported.race", school_year="reported.coded_in") }}
group by reported.races, reported.coded_in
