select
    span.student_key,
    span.valid_from,
    span.valid_to,
    {% for category in categories() %} span.{{ category }}, {% endfor %}
    profile.profile_id,
    span.span_kind,
    span.is_assumed
from {{ ref("student_span") }} as span
inner join
    {{ ref("student_profile") }} as profile
    on {% for category in categories() %}
        span.{{ category }} = profile.{{ category }}{{ " and " if not loop.last }}
    {% endfor %}
