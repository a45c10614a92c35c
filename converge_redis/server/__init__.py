"""The embedded server: a real Redis or Valkey server as a child of this process."""
