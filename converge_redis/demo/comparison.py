"""The check: did the fleet find what one process finds?"""

from collections.abc import Callable, Mapping, Sequence

from converge_redis.demo.analysis import Outcome, analyse
from converge_redis.demo.folder import Finished
from converge_redis.demo.source import Source
from converge_redis.demo.total import Total


def analyse_alone(
    sources: Sequence[Source], progress: Callable[[int], None] = lambda _done: None
) -> tuple[dict[str, Outcome], Total]:
    """Do the whole work in this process, without a server.

    Args:
        sources: The files.
        progress: Called with the number of files done, after each.

    Returns:
        The outcome by task id, and what they add up to.
    """
    outcomes: dict[str, Outcome] = {}
    total = Total()
    for number, source in enumerate(sources, 1):
        outcomes[source.id] = analyse(source.path)
        total.add(outcomes[source.id])
        progress(number)
    return outcomes, total


def compare(
    sources: Sequence[Source], finished: Mapping[str, Finished], alone: Mapping[str, Outcome]
) -> list[str]:
    """Compare the fleet's outcomes with those of one process.

    Args:
        sources: The files.
        finished: What the fleet's tasks ended with, by task id.
        alone: What one process found, by task id.

    Returns:
        A line for each file that is missing or differs.
    """
    differences = []
    for source in sources:
        one = finished.get(source.id)
        if one is None:
            differences.append(f"{source.shown}: no result")
        elif (one.state, one.result) != alone[source.id]:
            state, result = alone[source.id]
            differences.append(
                f"{source.shown}: the fleet says {one.state} {one.result}, one process {state} {result}"
            )
    return differences
