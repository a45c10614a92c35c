"""The examples of the README run as they are printed; ``scripts/check`` checks their types."""

from typing import Any

import pytest
import readme_examples

from converge_redis import Task, TaskFailure


def run(number: int) -> dict[str, Any]:
    defined: dict[str, Any] = {}
    exec(readme_examples.examples()[number], defined)  # noqa: S102 - our own page
    return defined


def test_the_first_example_prints_the_result(capsys: pytest.CaptureFixture[str]) -> None:
    run(0)
    assert capsys.readouterr().out == "{'summary': '…'}\n"


def test_the_handler_of_the_second_example_returns_or_fails() -> None:
    handler = run(1)["handler"]
    assert handler(Task(inputs={"text": "one two"})) == {"words": 2}
    with pytest.raises(TaskFailure):
        handler(Task())


def test_the_auction_of_the_third_example_is_won_at_the_second_price(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run(2)
    winner, outcome = capsys.readouterr().out.splitlines()
    assert winner == "bob"
    assert outcome.startswith("AuctionOutcome(winner='bob', price=40.0, ")
