"""What KoalaPanel costs, measured: `python -m benchmarks` runs all of it, `make bench` calls that."""
