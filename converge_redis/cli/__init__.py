"""The entry point of the ``converge-redis`` command."""

import sys


def main() -> None:
    """Run the command line, or print how to install its dependencies."""
    try:
        from converge_redis.cli.commands import main as run  # noqa: PLC0415 - needs an extra
    except ModuleNotFoundError as error:
        if error.name not in {"click", "rich"}:
            raise
        print("converge-redis needs an extra: pip install 'converge-redis[cli]'", file=sys.stderr)
        sys.exit(2)
    run(prog_name="converge-redis")


if __name__ == "__main__":
    main()
