"""After a database was put back from a backup: what the journal knows and the database has forgotten is done again.

`reconciling` is the use case; the others are its steps: `rebuilding` (deliveries that were sent), `amending` (what the
database says of them), `unfinished` and `returned` (what was noted and not sent).
"""
