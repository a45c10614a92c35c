"""Tasks: from submission to the result; claims, leases, waits."""
