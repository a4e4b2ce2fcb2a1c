"""Rows as Parquet, with the optional pyarrow."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from itertools import islice

from prisma_postgres_exporter.errors import ConfigurationError

ROWS_IN_GROUP = 50_000
DIGITS, PLACES = 38, 12
SMALLEST = Decimal(1).scaleb(-PLACES)


class _Drain(io.RawIOBase):
    """A file that is written to and emptied in turns."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self._written = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._written

    def write(self, part: object, /) -> int:
        taken = bytes(part)  # type: ignore[call-overload]  # the buffers that pyarrow hands over
        self._parts.append(taken)
        self._written += len(taken)
        return len(taken)

    def drained(self) -> bytes:
        """What was written since the last time."""
        parts, self._parts = self._parts, []
        return b"".join(parts)


def parquet_parts(columns: Mapping[str, type], rows: Iterable[tuple[object, ...]]) -> Iterator[bytes]:
    """Yield a Parquet file piece by piece, one group of rows in memory at a time.

    Instants are timestamps in UTC to the second; money and quantities are decimals with 12 places.

    Raises:
        ConfigurationError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise ConfigurationError(
            ["--format parquet: needs pyarrow: pip install '.[parquet]' in the checkout; or use csv or jsonl"]
        ) from None
    types = {
        str: pa.string(),
        int: pa.int64(),
        bool: pa.bool_(),
        date: pa.date32(),
        datetime: pa.timestamp("s", tz="UTC"),
        Decimal: pa.decimal128(DIGITS, PLACES),
    }
    schema = pa.schema([(name, types[type_]) for name, type_ in columns.items()])
    drain, iterator = _Drain(), iter(rows)
    with pq.ParquetWriter(drain, schema) as writer:
        while group := list(islice(iterator, ROWS_IN_GROUP)):
            by_column = zip(*group, strict=True)
            arrays = [
                pa.array(map(_fitted, values), type=field.type) for field, values in zip(schema, by_column, strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            yield drain.drained()
    yield drain.drained()


def _fitted(value: object) -> object:
    return value.quantize(SMALLEST) if isinstance(value, Decimal) else value
