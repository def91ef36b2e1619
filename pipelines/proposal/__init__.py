"""`equity init`: a first `district.yaml` from extracts that nobody has described.

The modules follow the way of a file: `files` (what lies there, what belongs together), `tables` (a bounded look at
the rows), `profile` (what each column holds), `names` and `columns` (what it could be in the input contract),
`links` (which files speak of the same students), `entities` (what the file feeds), `codes`, `settings` (how it is
read), `write` and `report`. Every decision carries a confidence and a reason; nothing here is used by a night.

No value of a column leaves this package, save codes: the few different values of a column that is mapped to a
code. Names, ids and dates are counted and compared, never written or shown.
"""
