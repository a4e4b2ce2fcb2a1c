"""Things as tables for people: what a column shows of its values, and what is shown of no things."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import pytest

from prisma_postgres_exporter.cli.printing import Column, Columns, Form, Shown, print_list

Thing = tuple[str, Shown, Shown]
COLUMNS: Columns[Thing] = (
    Column("name", lambda thing: thing[0], "database"),
    Column("gib", lambda thing: thing[1], "GiB", weight=5),
    Column("product", lambda thing: thing[2], "product"),
)


@dataclass(frozen=True)
class Printer:
    """Prints lists of things, and returns their lines."""

    capture: pytest.CaptureFixture[str]

    def lines(self, *things: Thing, form: Form = Form.TABLE) -> list[str]:
        print_list(things, COLUMNS, form, what="databases of shop", has_more=False, is_complete=True)
        return self.capture.readouterr().out.splitlines()


@pytest.fixture
def printer(capsys: pytest.CaptureFixture[str]) -> Printer:
    return Printer(capsys)


def test_a_column_of_numbers_has_one_number_of_decimals(printer: Printer) -> None:
    lines = printer.lines(("a", 1.5, "x"), ("b", 12_345.125, "x"), ("c", 7.0, "x"), ("d", None, "x"))
    assert [line.split()[1] for line in lines[1:]] == ["1.500", "12,345.125", "7.000", "–"]
    assert len({line.index(line.split()[1]) + len(line.split()[1]) for line in lines[1:]}) == 1, "set to the right"

    assert [line.split()[1] for line in printer.lines(("a", Decimal("1.50"), "x"), ("b", 2, "x"))[1:]] == [
        "1.50",
        "2.00",
    ]
    whole = 2**63 + 1
    assert printer.lines(("a", whole, "x"))[1].split()[1] == f"{whole:,}", "no digit is lost"


def test_a_number_that_no_row_knows_stays_where_numbers_are(printer: Printer) -> None:
    assert printer.lines(("a", None, "x")) == ["database  GiB  product", "a           –  x"]


def test_a_text_that_no_row_has_is_no_column_but_in_wide(printer: Printer) -> None:
    assert printer.lines(("a", 1, None), ("b", 2, None))[0].split() == ["database", "GiB"]
    assert printer.lines(("a", 1, None), form=Form.WIDE)[0].split() == ["database", "GiB", "product"]


def test_no_things_are_a_sentence_for_people_and_an_empty_list_for_programs(printer: Printer) -> None:
    assert printer.lines() == ["No databases of shop."]
    assert printer.lines(form=Form.CSV) == ["name,gib,product"]
    assert '"data": [],' in "".join(printer.lines(form=Form.JSON))
