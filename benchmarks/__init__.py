"""What KoalaPanel costs, measured: `python -m benchmarks` runs all of it, `make bench` calls that."""


class NothingMeasured(Exception):
    """A benchmark can't tell anything; says why."""
