select
    context.load_id,
    indicator_id,
    name,
    domain,
    indicator_type,
    direction,
    unit,
    rate_min,
    rate_max,
    definition,
    definition_version,
    authority,
    citation,
    asset_label
from {{ ref("indicator") }}
cross join {{ source("control", "run_context") }} as context
