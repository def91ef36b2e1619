{# The key of a model: no two rows share it. Reports keys of repeated rows as a count only, never a value. #}
{% test unique_key(model, columns) %}
    select count(*) as repeated_keys
    from
        (
            select {{ columns | join(", ") }} from {{ model }} group by {{ columns | join(", ") }} having count(*) > 1
        ) as repeated
    having count(*) > 0
{% endtest %}
