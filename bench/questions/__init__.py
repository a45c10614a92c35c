"""The questions, a file for each subject."""

from bench.questions import (
    claim_cost,
    drain,
    floor,
    latency,
    layouts,
    limit,
    memory,
    reading,
    submit,
    verbs,
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
        verbs,
        waking,
        reading,
        floor,
        limit,
    )
    for question in module.QUESTIONS
}
