"""Examples: each starts several processes on an embedded server, and prints what happened."""
