"""The use cases: one module an area, one function a use case, one transaction each.

Services know no request, no command line and no timer. They take `settings` and `now` as arguments.
Functions that take a `session` are steps of a use case and run in its transaction.
"""
