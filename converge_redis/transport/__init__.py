"""Transport: connections, and the delivery of operations to one server."""
