"""Benchmarks: each file answers one question, and is run by itself."""
