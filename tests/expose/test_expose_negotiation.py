"""Which format and coding each Accept and Accept-Encoding header gets."""

from __future__ import annotations

import pytest

from prisma_postgres_exporter.expose import Format
from prisma_postgres_exporter.expose.negotiate import choose_format, is_gzip_wanted

_OM = "application/openmetrics-text"


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        pytest.param("", Format.TEXT, id="no header"),
        pytest.param("*/*", Format.TEXT, id="curl"),
        pytest.param("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Format.TEXT, id="a browser"),
        pytest.param(
            f"{_OM};version=1.0.0,{_OM};version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            Format.OPENMETRICS,
            id="Prometheus 2",
        ),
        pytest.param(
            f"{_OM};version=1.0.0;escaping=allow-utf-8;q=0.5,{_OM};version=0.0.1;q=0.4,"
            "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
            Format.OPENMETRICS,
            id="Prometheus 3",
        ),
        pytest.param(
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,"
            f"{_OM};version=1.0.0;q=0.5,*/*;q=0.1",
            Format.OPENMETRICS,
            id="native histograms first",
        ),
        pytest.param(_OM, Format.OPENMETRICS, id="OpenMetrics of any version"),
        pytest.param(f'{_OM}; version="1.0.0"; charset=utf-8', Format.OPENMETRICS, id="quoted and spaced"),
        pytest.param(_OM.upper(), Format.OPENMETRICS, id="upper case"),
        pytest.param(f"{_OM};version=2.0.0", Format.OPENMETRICS, id="2.0.0 alone gets 1.0.0"),
        pytest.param(f"{_OM};version=2.0.0,{_OM};version=1.0.0;q=0.9", Format.OPENMETRICS, id="2.0.0 first"),
        pytest.param(f"{_OM};version=2.0.0,text/plain;q=0.1", Format.TEXT, id="2.0.0 or what we have exactly"),
        pytest.param(f"{_OM};version=0.0.1", Format.TEXT, id="an older OpenMetrics"),
        pytest.param(f"{_OM};version=newest", Format.TEXT, id="no version at all"),
        pytest.param("text/plain;version=0.0.4", Format.TEXT, id="text"),
        pytest.param("text/plain;version=1.0.0", Format.TEXT, id="a newer text"),
        pytest.param(f"text/plain,{_OM}", Format.TEXT, id="equals: the first wins"),
        pytest.param(f"{_OM},text/plain", Format.OPENMETRICS, id="equals: the first wins, the other way"),
        pytest.param(f"{_OM};q=0.3,text/plain;q=0.7", Format.TEXT, id="text liked better"),
        pytest.param(f"{_OM};q=0,*/*;q=0.1", Format.TEXT, id="OpenMetrics refused"),
        pytest.param(f"{_OM};q=nonsense", Format.TEXT, id="a q that is none"),
        pytest.param(f"{_OM};q=nan,text/plain;q=0.1", Format.TEXT, id="a q that is not a number"),
        pytest.param("application/json", Format.TEXT, id="nothing we have"),
        pytest.param(",;,;q=1,=", Format.TEXT, id="garbage"),
    ],
)
def test_the_format_that_is_liked_best_is_chosen(accept: str, chosen: Format) -> None:
    assert choose_format(accept) is chosen


@pytest.mark.parametrize(
    ("accept_encoding", "is_wanted"),
    [
        ("", False),
        ("gzip", True),
        ("GZIP", True),
        ("x-gzip", True),
        ("gzip, deflate, br, zstd", True),
        ("gzip;q=0.001", True),
        ("gzip;q=0", False),
        ("gzip; q=0.0", False),
        ("identity", False),
        ("br, zstd", False),
        ("*", True),
        ("*;q=0", False),
        ("gzip;q=0, *", False),
        ("identity;q=1, gzip;q=0.5", False),
        ("identity;q=0.5, gzip;q=1", True),
        ("gzip;q=2", False),
    ],
)
def test_gzip_is_sent_only_where_it_is_asked_for(accept_encoding: str, is_wanted: bool) -> None:
    assert is_gzip_wanted(accept_encoding) is is_wanted
