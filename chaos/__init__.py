"""A fleet under faults: its whole history is recorded, and held against a model of one task at the end."""
