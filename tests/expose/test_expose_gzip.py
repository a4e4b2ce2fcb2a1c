"""The gzip bodies are one member each, and every decoder gets the plain body back."""

from __future__ import annotations

import gzip
import subprocess
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from expose_views import A_DATABASE, A_SNAPSHOT, exposition_of, gzipped, needs_program, plain, snapshot_of

from prisma_postgres_exporter.expose import Exposition, Format

_EXPOSITIONS = {
    "nothing": exposition_of(snapshot_of([])),
    "small": exposition_of(A_SNAPSHOT),
    "several messages": exposition_of(
        snapshot_of([replace(A_DATABASE, database_id=f"db_{number}", month_to_date_operations=number**3)
                     for number in range(3000)])
    ),
}  # fmt: skip

every_body = pytest.mark.parametrize("exposition_format", Format)
every_exposition = pytest.mark.parametrize("exposition", _EXPOSITIONS.values(), ids=_EXPOSITIONS)


@every_body
@every_exposition
def test_a_strict_single_member_decoder_reads_it_whole(exposition: Exposition, exposition_format: Format) -> None:
    decoder = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    decoded = decoder.decompress(gzipped(exposition, exposition_format))
    assert decoder.eof
    assert decoder.unused_data == b""
    assert decoded == plain(exposition, exposition_format)


@every_body
@every_exposition
def test_pythons_gzip_checks_its_sum_and_length(exposition: Exposition, exposition_format: Format) -> None:
    assert gzip.decompress(gzipped(exposition, exposition_format)) == plain(exposition, exposition_format)


@needs_program("zcat")
@every_body
@every_exposition
def test_zcat_reads_it(exposition: Exposition, exposition_format: Format, tmp_path: Path) -> None:
    path = tmp_path / "body.gz"
    path.write_bytes(gzipped(exposition, exposition_format))
    answer = subprocess.run(["zcat", str(path)], capture_output=True, check=True)
    assert answer.stdout == plain(exposition, exposition_format)
    assert answer.stderr == b""


@every_body
@every_exposition
def test_lengths_are_those_of_the_bytes_and_no_message_is_large(
    exposition: Exposition, exposition_format: Format
) -> None:
    for is_gzip in (False, True):
        body = exposition.body(exposition_format, is_gzip=is_gzip)
        assert body.length == len(body.joined())
        assert all(0 < len(message) <= 256 * 1024 for message in body.messages)


def test_the_formats_share_the_bytes_of_what_is_large() -> None:
    exposition = _EXPOSITIONS["several messages"]
    text, openmetrics = (
        {id(message.obj) for message in exposition.body(exposition_format, is_gzip=False).messages
         if isinstance(message, memoryview)}
        for exposition_format in Format
    )  # fmt: skip
    assert text
    assert text == openmetrics


@every_body
def test_health_that_changed_leaves_the_gzip_body_right(exposition_format: Format) -> None:
    exposition = exposition_of(A_SNAPSHOT)
    exposition.refresh_health()
    assert gzip.decompress(gzipped(exposition, exposition_format)) == plain(exposition, exposition_format)
