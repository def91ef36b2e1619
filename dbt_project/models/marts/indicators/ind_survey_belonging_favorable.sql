{{ survey_favorable("belonging") }}
