"""The client's journeys through the simulator again, each answer on the way held against the vendor's types."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from test_api_simulated import *  # noqa: F403  # its tests and its fixture
from vendor_types import Contract, body_problems

from prisma_postgres_exporter.simulator import app
from prisma_postgres_exporter.simulator.questions import Answer, Question

UNDECLARED = {402, 422}
"""On the vendor's page for every call, and not in its types: a blocked workspace, arguments that make no sense."""


@pytest.fixture(autouse=True)
def held_against_the_types(contract: Contract, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever the simulator answers while a test runs."""
    answers, wrong = app.Call.answer, []

    def checked(call: app.Call, question: Question) -> Answer:
        answer = answers(call, question)
        operation = contract.find(call.endpoint.method, call.endpoint.path)
        if answer.status in operation.answers:
            wrong.extend(body_problems(operation.answers[answer.status], answer.body))
        elif answer.status not in UNDECLARED:
            wrong.append(f"{operation} does not answer {answer.status}")
        return answer

    monkeypatch.setattr(app.Call, "answer", checked)
    yield
    assert wrong == []
