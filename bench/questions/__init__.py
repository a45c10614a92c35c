"""The questions of the benchmark, one file per topic."""

from bench.questions import (
    calls,
    claim_cost,
    drain,
    floor,
    latency,
    layouts,
    limit,
    memory,
    reading,
    submit,
    waking,
)
from bench.questions.question import Question

QUESTIONS: dict[str, Question] = {
    question.name: question
    for module in (
        submit,
        drain,
        latency,
        memory,
        layouts,
        claim_cost,
        calls,
        waking,
        reading,
        floor,
        limit,
    )
    for question in module.QUESTIONS
}
