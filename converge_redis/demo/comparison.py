"""The comparison of the fleet's results with those of one process."""

from collections.abc import Callable, Mapping, Sequence

from converge_redis.demo.analysis import Outcome, analyse
from converge_redis.demo.folder import FinishedTask
from converge_redis.demo.source import Source
from converge_redis.demo.total import Total


def analyse_in_one_process(
    sources: Sequence[Source], progress: Callable[[int], None] = lambda _done: None
) -> tuple[dict[str, Outcome], Total]:
    """Analyse all files in this process, without a server.

    Args:
        sources: The files.
        progress: Called after each file with the number of files done.

    Returns:
        The outcome of each file by task id, and their total.
    """
    outcomes: dict[str, Outcome] = {}
    total = Total()
    for number, source in enumerate(sources, 1):
        outcomes[source.id] = analyse(source.path)
        total.add(outcomes[source.id])
        progress(number)
    return outcomes, total


def compare(
    sources: Sequence[Source], finished: Mapping[str, FinishedTask], expected: Mapping[str, Outcome]
) -> list[str]:
    """Compare the fleet's outcomes with those of one process.

    Args:
        sources: The files.
        finished: The fleet's finished tasks by id.
        expected: The outcomes of one process by task id.

    Returns:
        A line for each file whose result is missing or differs.
    """
    differences = []
    for source in sources:
        task = finished.get(source.id)
        if task is None:
            differences.append(f"{source.display_name}: no result")
        elif (task.state, task.result) != expected[source.id]:
            state, result = expected[source.id]
            differences.append(
                f"{source.display_name}: {task.state} {task.result} by the fleet, "
                f"{state} {result} in one process"
            )
    return differences
