"""Observability: measurements of calls."""
