"""Notifications: the subscribed connection of a process, what it waits for, and the near cache."""
