"""The measured systems: this project, and other queues."""
