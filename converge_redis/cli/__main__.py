"""Run the command line: ``python -m converge_redis.cli``."""

from converge_redis.cli import main

main()
