"""Benchmarks of this project and of other queues; see ``docs/benchmarks.md``."""
