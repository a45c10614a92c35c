"""The listener of a process and event loop, on behalf of all its verbs that wait."""
