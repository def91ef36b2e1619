with participant as ({{ coded_rows("discipline_incident_student") }})
select
    participant.incident_key,
    {{ school_on("succession", "nullif(participant.school_id, '')", "cast(participant.coded_on as varchar)") }}
    as school_id,
    student_key,
    coalesce(part.meaning, 'unknown') as participation,
    coalesce(behavior_meaning.meaning, 'unknown') as behavior
from participant
left join
    {{
        meanings(
            "participant", "participation", "participation", school="coded_at", school_year=coded_year("coded_on")
        )
    }} as part
    on {{
        same_meaning(
            "part",
            "participant.participation",
            school="participant.coded_at",
            school_year=coded_year("participant.coded_on"),
        )
    }}
left join
    {{ meanings("participant", "behavior", "behavior", school="coded_at", school_year=coded_year("coded_on")) }}
    as behavior_meaning
    on {{
        same_meaning(
            "behavior_meaning",
            "participant.behavior",
            school="participant.coded_at",
            school_year=coded_year("participant.coded_on"),
        )
    }}
left join {{ ref("stg_school_succession") }} as succession on participant.school_id = succession.school_id
