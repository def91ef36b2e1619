"""A synthetic district in the input contract's shape: nobody in it exists, and its gaps are planted.

`generate` writes district.yaml, crosswalks/, extracts/ (CSV) and truth.json. Everything follows from the
seed: the same call writes the same bytes, with any number of threads. A later `end` with the same seed
gives the same district with more days, as the next night would: what had happened stays as it was.
The calendar runs to the end of the school year, beyond `end`, as real ones do.

Faults to plant, and what the checks should find (also written to truth.json, with the place):

| fault | what is sent | what the checks should find |
|---|---|---|
| school_stops_attendance | one school with daily attendance sends nothing for its last 25 session days | that school's attendance is data_not_reliable, nothing else is |
| race_missing_at_school | 70 % of one school's students have no race | unknown race there far above the other schools |
| group_silent_in_survey | no English learner's answers in the newest survey | a group that did not answer, not a group at zero |
| zero_incidents_school | one school reports no incident in the current year; its attendance still marks suspensions | a school silent about incidents |
| file_twice | the current daily attendance under two names | the second file changes nothing |
| corrected_file | later/ holds the current daily attendance with absences corrected to present | dropped over the first, it replaces it |
| unknown_code | one school marks about 3 % of its days with `QZ` | unmapped codes over the limit: attendance there is data_not_reliable |
| leavers_dropped | enrollment is `active_only`; later/ holds the next extract, without leavers | leavers stay known, their exit dated or inferred |
| malformed_file | the discipline incidents are ragged and cut off in a row | refused rows or a source held back; the night goes on |
| late_source | all attendance ends 15 session days before `end` | a required source is overdue: the night stops |
"""  # noqa: E501

from pipelines.sample_district.faults import FAULTS
from pipelines.sample_district.generate import SampleSummary, generate
from pipelines.sample_district.plan import DEFAULT_END

__all__ = ["DEFAULT_END", "FAULTS", "SampleSummary", "generate"]
