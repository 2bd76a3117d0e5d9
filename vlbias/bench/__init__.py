"""Benchmarks: two things timed alternately in one process, reported as a ratio. One file is one `vlbias bench NAME`.

Contract of a file here: `NAMES`, the rows it can give, and `rows(*, only, device, seed) -> Iterator[Row]`.
"""
