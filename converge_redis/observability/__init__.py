"""Observability: metrics of calls."""
