"""Questions to the ledger beside the collector: a few wait, and more are told to come back."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path

from lived_store import ENDS_AT, live

from prisma_postgres_exporter.config import load_config
from prisma_postgres_exporter.errors import TooBusy
from prisma_postgres_exporter.report import LedgerMonth
from prisma_postgres_exporter.service import LedgerReader
from prisma_postgres_exporter.service.ledger_reader import MOST_WAITING
from prisma_postgres_exporter.store import Store


async def test_more_questions_than_may_wait_are_refused_and_the_others_answered(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    with closing(Store.open(url)) as store:
        live(store)
    config = load_config(store_url=url, environ={})
    with closing(LedgerReader(lambda: config, lambda: ENDS_AT)) as reader:
        asked = [reader.month(ENDS_AT) for _ in range(MOST_WAITING + 4)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        again = await reader.month(ENDS_AT)

    answered = [answer for answer in answers if isinstance(answer, LedgerMonth)]
    assert len(answered) == MOST_WAITING + 1
    assert sum(isinstance(answer, TooBusy) for answer in answers) == 3
    assert {answer.name for answer in (*answered, again)} == {"2026-11"}
