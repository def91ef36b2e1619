-- The races of one demographic row, one flag each. Cells hold several races separated by `|`.
with
    reported as (
        select file_no, line, unnest(string_split(races, '|')) as race
        from {{ ref("stg_student_demographic__judged") }}
        where verdict = 'accepted' and coalesce(races, '') <> ''
    )
select
    reported.file_no,
    reported.line,
    bool_or(x.meaning = 'american_indian_or_alaska_native') as is_american_indian_or_alaska_native,
    bool_or(x.meaning = 'asian') as is_asian,
    bool_or(x.meaning = 'black') as is_black,
    bool_or(x.meaning = 'native_hawaiian_or_pacific_islander') as is_native_hawaiian_or_pacific_islander,
    bool_or(x.meaning = 'white') as is_white,
    bool_or(x.meaning = 'hispanic') as is_hispanic_race,
    bool_or(x.meaning = 'two_or_more') as is_two_or_more,
    bool_or(x.meaning = 'unmapped') as is_unmapped
from reported
left join {{ meanings("reported", "race", "race") }} as x on lower(trim(reported.race)) = x.code
group by reported.file_no, reported.line
