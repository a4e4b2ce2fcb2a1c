"""Log lines on standard error, for people or for machines, without any token in them."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import typer

from prisma_postgres_exporter.config import Mask

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger

FORMATS = ("console", "json")


def configure_logs(log_format: str, *, secrets: Iterable[str] = (), level: int = logging.INFO) -> None:
    """Send every log line to standard error as `log_format`; `secrets` are masked wherever they turn up."""
    import structlog

    if log_format not in FORMATS:
        raise typer.BadParameter(f"{log_format!r} is not a log format; use one of: {', '.join(FORMATS)}")
    renderer: Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    shared: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _without_unknowns,
        _masking(Mask(secrets)),
    ]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def _without_unknowns(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
    """Leave out what is `None`: a line says what is known."""
    return {key: value for key, value in event.items() if value is not None}


def _masking(mask: Mask) -> Processor:
    def masking(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
        return {key: _masked(value, mask) for key, value in event.items()}

    return masking


def _masked(value: object, mask: Mask) -> object:
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, list | tuple):
        return [_masked(part, mask) for part in value]
    if isinstance(value, Mapping):
        return {key: _masked(part, mask) for key, part in value.items()}
    # Whatever else is written as its text: an exception, say.
    text = str(value)
    masked = mask(text)
    return value if masked == text else masked
