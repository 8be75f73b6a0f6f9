"""Benchmarks: each measures one promise of docs/performance.md beside its reference, in the same run.

`make bench` runs all of them; `python -m bench.send` (or compile, sign_up, questions, fill) runs one.
"""
