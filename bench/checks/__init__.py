"""Checks of guarantees: each is a command that exits with 1 when its guarantee does not hold."""
