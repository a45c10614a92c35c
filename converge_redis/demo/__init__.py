"""The demo: a fleet of processes parses a folder of Python files; see ``docs/demo.md``."""
