-- Keys: unique where the warehouse says so. One row a key, with how many rows repeat one.
{% for table_name, model, columns in [
    ("dim_student", "dim_student", ["student_key"]),
    ("school", "school", ["school_id"]),
    (
        "student_school_enrollment",
        "fct_student_school_enrollment",
        ["student_key", "school_id", "entry_date"],
    ),
    ("student_daily_attendance", "fct_student_daily_attendance", ["student_key", "school_id", "date"]),
    ("discipline_incident", "fct_discipline_incident", ["incident_key", "school_id"]),
    (
        "student_discipline_action",
        "fct_student_discipline_action",
        ["action_key", "student_key", "action_code"],
    ),
    ("survey_response", "fct_survey_response", ["survey_id", "response_key", "item_id"]),
] %}
    select '{{ table_name }}' as table_name, cast(coalesce(sum(copies - 1), 0) as bigint) as repeated
    from
        (
            select count(*) as copies from {{ ref(model) }} group by {{ columns | join(", ") }} having count(*) > 1
        ) as repeated_key
        {{ "union all" if not loop.last }}
{% endfor %}
