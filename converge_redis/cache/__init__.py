"""The shared cache: one computation for a whole fleet."""
