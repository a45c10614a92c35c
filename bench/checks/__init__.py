"""Checks of what is promised: each is a command of its own, and exits with 1 when it does not hold."""
