"""The exporter's own families as text in both formats, and whose each of their lines is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from prisma_postgres_exporter.expose.selection import END_OF_OPENMETRICS, NO_WORKSPACE, Format

_encode_text, _ = choose_encoder("text/plain; version=0.0.4")
_encode_openmetrics, _ = choose_encoder("application/openmetrics-text; version=1.0.0")


@dataclass(frozen=True, slots=True)
class OwnFamily:
    """One family: by format its header and a line for each sample, and by sample the workspace that it belongs to."""

    headers: Mapping[Format, bytes]
    lines: Mapping[Format, Sequence[bytes]]
    owners: Sequence[str]

    def part(self, workspaces: Collection[str] | None, exposition_format: Format) -> bytes:
        """Header and lines of these workspaces, of all with `None`; nothing where they have no line."""
        lines = [
            line
            for line, owner in zip(self.lines[exposition_format], self.owners, strict=True)
            if workspaces is None or owner in workspaces
        ]
        return b"".join((self.headers[exposition_format], *lines)) if lines else b""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthText:
    """Every own family, and how many samples they have."""

    families: tuple[OwnFamily, ...]
    samples: int

    @property
    def workspaces(self) -> frozenset[str]:
        """The workspaces that have a line of their own."""
        return frozenset(owner for family in self.families for owner in family.owners) - {NO_WORKSPACE}

    @property
    def text(self) -> bytes:
        """All of them in text 0.0.4."""
        return self.part(None, Format.TEXT)

    @property
    def openmetrics(self) -> bytes:
        """All of them in OpenMetrics, with its end."""
        return self.part(None, Format.OPENMETRICS)

    def part(self, workspaces: Collection[str] | None, exposition_format: Format) -> bytes:
        """What belongs to these workspaces, all of it with `None`; OpenMetrics with its end."""
        end = END_OF_OPENMETRICS if exposition_format is Format.OPENMETRICS else b""
        return b"".join([family.part(workspaces, exposition_format) for family in self.families]) + end


def own_family(family: Metric, credentials: Mapping[str, str | None]) -> OwnFamily:
    """Write a family; `credentials` are the workspaces of credentials, as far as they are known.

    The lines are in the order of their workspaces, what belongs to none at the end, as the rest of the exposition is.
    """

    def owner(labels: Mapping[str, str]) -> str:
        return labels.get("workspace_id") or credentials.get(labels.get("credential", "")) or NO_WORKSPACE

    owned = [(owner(sample.labels), sample) for sample in family.samples]
    owned.sort(key=lambda pair: (pair[0] == NO_WORKSPACE, pair[0]))
    family.samples = [sample for _, sample in owned]
    written = {Format.TEXT: _encode_text(_One(family)), Format.OPENMETRICS: _encode_openmetrics(_One(family))}
    # A label's line feed is written as two characters: a line is a sample, or one of the two of the header.
    split = {form: [line + b"\n" for line in text.split(b"\n")] for form, text in written.items()}
    return OwnFamily(
        headers={form: b"".join(lines[:2]) for form, lines in split.items()},
        lines={form: lines[2 : 2 + len(owned)] for form, lines in split.items()},
        owners=[owner for owner, _ in owned],
    )


class _One(Collector):
    """A family collected before, for both formats."""

    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> Iterable[Metric]:
        return [self._family]
