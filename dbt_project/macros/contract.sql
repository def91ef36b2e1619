{# Every entity of the input contract: each has a model stg_<entity>__judged. A test holds the list to the contract. #}
{% macro contract_entities() %}
    {{
        return(
            [
                "school",
                "school_succession",
                "student",
                "student_identifier",
                "student_demographic",
                "student_school_enrollment",
                "calendar_date",
                "bell_schedule",
                "attendance_event",
                "attendance_taken",
                "discipline_incident",
                "discipline_incident_student",
                "discipline_action",
                "survey",
                "survey_invitation",
                "survey_questionnaire",
                "survey_response",
                "program_participation",
                "intervention",
                "state_report",
            ]
        )
    }}
{% endmacro %}
