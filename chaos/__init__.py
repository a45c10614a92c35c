"""The chaos suite: a fleet under faults, whose whole history is checked against a model of one task."""
