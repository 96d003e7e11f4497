"""What docs/benchmarks.md tells, measured: `make bench`, or `python -m benchmarks NAME`."""
