{# Fails for each row of which the condition is not true; unknown is not true. #}
{% test holds(model, condition) %}
select 1 as broken
from {{ model }}
where ({{ condition }}) is not true
{% endtest %}
