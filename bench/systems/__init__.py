"""The systems under test: ours, and the queues that users have today."""
