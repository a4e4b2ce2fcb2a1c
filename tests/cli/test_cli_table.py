"""Tables at every width: nothing that counts is cut, and each row is one that can be told from the others."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from prisma_postgres_exporter.cli.table import NONE, Drawn, Field, Role, cut_name, draw

NARROWEST = 40
NAMES = st.text(alphabet="abcß日本é👩️-_ ", max_size=80).map(str.strip)


@dataclass(frozen=True)
class Row:
    """What a list has of one database."""

    id: str
    name: str
    operations: int
    usd: str


def row(number: int, name: str) -> Row:
    return Row(f"db_{number:025}", name, number * 1_234_567, f"{number * 7}.{number % 100:02}")


ROWS = st.lists(NAMES, min_size=1, max_size=8).map(lambda names: [row(at, name) for at, name in enumerate(names)])


def table(rows: list[Row], width: int, *, is_id_reserve: bool = True) -> Drawn:
    return draw(
        [
            Field(heading="#", cells=[str(at) for at in range(len(rows))], is_right=True, weight=1),
            Field(heading="database", cells=[row.name for row in rows], role=Role.NAME, weight=8),
            Field(heading="id", cells=[row.id for row in rows], role=Role.ID, is_reserve=is_id_reserve),
            Field(heading="operations", cells=[f"{row.operations:,}" for row in rows], is_right=True, weight=5),
            Field(heading="USD", cells=[row.usd for row in rows], is_right=True, weight=9),
            Field(heading="made", cells=["2026-11-27 10:00"] * len(rows)),
        ],
        width,
    )


@given(rows=ROWS, width=st.integers(NARROWEST, 200), is_id_reserve=st.booleans())
def test_no_line_is_wider_than_the_terminal_and_every_row_can_be_told_apart(
    rows: list[Row], width: int, is_id_reserve: bool
) -> None:
    drawn = table(rows, width, is_id_reserve=is_id_reserve)

    assert all(cell_len(line) <= width for line in (drawn.heading, *drawn.rows))
    # The number of a row does not count: it stands for no database.
    telling = [line.split(maxsplit=1)[1] if "#" not in drawn.left_out else line for line in drawn.rows]
    shown_names = [" ".join(cut.split()) for cut in telling]
    assert len(set(shown_names)) == len(rows)


@given(rows=ROWS, width=st.integers(NARROWEST, 200))
def test_a_number_is_whole_or_its_column_is_named_as_left_out(rows: list[Row], width: int) -> None:
    drawn = table(rows, width)

    for heading, texts in (
        ("operations", [f"{row.operations:,}" for row in rows]),
        ("USD", [row.usd for row in rows]),
    ):
        assert (heading in drawn.heading) != (heading in drawn.left_out)
        if heading not in drawn.left_out:
            assert all(text in line.split() for text, line in zip(texts, drawn.rows, strict=True))


def test_the_least_important_columns_go_first_and_two_of_one_name_bring_their_ids() -> None:
    rows = [row(1, "shop"), row(2, "shop"), row(3, "blog")]

    wide, narrow = table(rows, 100), table(rows, NARROWEST)
    assert wide.heading.split() == ["#", "database", "id", "operations", "USD", "made"]
    assert narrow.heading.split() == ["database", "id"]
    assert narrow.left_out == ("#", "operations", "USD", "made")

    alone = table([row(1, "shop"), row(3, "blog")], NARROWEST)
    assert alone.heading.split() == ["#", "database", "operations", "USD"]
    assert alone.left_out == ("made",)


def test_names_that_differ_in_the_middle_alone_bring_their_ids() -> None:
    rows = [row(at, f"a-very-long-name-of-a-database-{at}-which-goes-on-for-a-while") for at in range(3)]
    drawn = table(rows, 60)
    assert "id" in drawn.heading.split()
    assert all(row.id in line for row, line in zip(rows, drawn.rows, strict=True))


def test_a_name_has_a_sane_length_however_wide_the_terminal_is() -> None:
    drawn = table([row(1, "x" * 50_000)], 10_000)
    assert drawn.left_out == ()
    assert cell_len(drawn.rows[0]) < 120


def test_a_total_need_not_be_told_apart() -> None:
    fields = [
        Field(heading="database", cells=["a", "b", "a"], role=Role.NAME),
        Field(heading="id", cells=["db_1", "db_2", ""], role=Role.ID, is_reserve=True),
    ]
    assert draw(fields, 80, told_apart=2).heading == "database"
    assert draw(fields, 80).heading.split() == ["database", "id"]


@given(name=NAMES, width=st.integers(3, 90))
def test_a_cut_name_keeps_both_its_ends(name: str, width: int) -> None:
    cut = cut_name(name, width)
    assert cell_len(cut) <= width
    if cell_len(name) <= width:
        assert cut == name
    else:
        front, back = cut.split("…")
        assert name.startswith(front)
        assert name.endswith(back)
        assert cell_len(cut) >= width - 2


def test_a_name_that_all_rows_have_goes_before_any_number() -> None:
    names = [
        Field(heading="workspace", cells=cells, role=Role.NAME, weight=9) for cells in (["a" * 20] * 2, ["a", "b"])
    ]
    numbers = Field(heading="operations", cells=["1,234,567,890", "2"], weight=3)
    telling = Field(heading="database", cells=["first", "second"], role=Role.NAME, weight=10)
    assert draw([names[0], telling, numbers], 30).left_out == ("workspace",)
    assert draw([names[1], telling, numbers], 30).left_out == ("operations",)


def test_a_terminal_of_ascii_gets_lines_that_fit() -> None:
    fields = [Field(heading="database", cells=["a" * 30 + str(at) for at in range(3)], role=Role.NAME)]
    drawn = draw(fields, 20, cut="...")
    assert all(line.isascii() and len(line) <= 20 for line in drawn.rows)
    assert len(set(drawn.rows)) == 3


def test_a_column_that_carries_nothing_is_blank_unless_its_numbers_are_only_not_known() -> None:
    def field(*cells: str, role: Role = Role.VALUE, weight: int = 0) -> Field:
        return Field(heading="product", cells=cells, role=role, weight=weight)

    assert field(NONE, "").is_blank
    assert field(NONE, NONE, role=Role.NAME, weight=10).is_blank
    assert not field(NONE, "accelerate").is_blank
    assert not field(NONE, NONE, weight=1).is_blank


def test_secondary_columns_go_before_a_name_is_cut() -> None:
    names = Field(heading="database", cells=["storefront-production", "invoicing-staging"], role=Role.NAME, weight=20)
    values = [
        Field(heading=heading, cells=["1,234,567", "89"], is_right=True, weight=weight)
        for heading, weight in (("operations", 7), ("before", 1), ("last 7 d", 2), ("cost", 8), ("growth", 6))
    ]

    drawn = draw([names, *values], 65)
    assert drawn.left_out == ("before", "last 7 d")
    assert "storefront-production" in drawn.rows[0]

    # What counts most stays, and then a name is cut.
    narrow = draw([names, *values], 45)
    assert narrow.left_out == ("before", "last 7 d")
    assert "store…ction" in narrow.rows[0]


def test_what_tells_rows_apart_leaves_the_numbers_their_room() -> None:
    drawn = draw(
        [
            Field(heading="id", cells=[f"db_{at:025}" for at in range(2)], role=Role.ID, weight=1),
            Field(heading="database", cells=["orders", "orders"], role=Role.NAME, weight=30),
            Field(heading="project", cells=["webshop", "analytics"], role=Role.NAME, weight=5),
            Field(heading="operations", cells=["1,234,567", "89"], is_right=True, weight=21),
        ],
        NARROWEST,
    )

    assert drawn.left_out == ("id",)
