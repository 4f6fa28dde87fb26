"""Training steps timed beside other frameworks: ``python -m benchmarks --help``."""
