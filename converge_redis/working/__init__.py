"""The parts of `converge_redis.worker`."""
