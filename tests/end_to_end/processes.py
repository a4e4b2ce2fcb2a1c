"""The commands as real processes, a simulated vendor beside them, and what they show."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import yaml
from prepared import Prepared
from prometheus_client.parser import text_string_to_metric_families

from ports import free_port
from prisma_postgres_exporter.simulator import Faults, Simulator, World, WorldShape, serve_simulator, system_clock

EXPORTER = (sys.executable, "-m", "prisma_postgres_exporter")
DEADLINE_SECONDS = 90.0
LONGEST_RUN_SECONDS = 180.0
LOOK_EVERY_SECONDS = 0.05
INTERVAL = "1s"
TOKEN_MARK = "simulator-token-"
DATA_PREFIX = "prisma_postgres_database_"
ENDS_AT_MIDNIGHT = ("_day_", "_to_date_", "_month_")
MAY_BECOME_0 = (f"{DATA_PREFIX}reconciliation_difference_operations", f"{DATA_PREFIX}month_to_date_cost_usd")
"""A difference is settled; a database's part of a pooled charge, in cents, falls as more is known of the others."""

T = TypeVar("T")
Labels = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, whatever its status."""

    status: int
    text: str


class Samples(dict[tuple[str, Labels], float]):
    """Samples of one scrape by name and labels; `day` is the UTC day on which they were read."""

    day: date

    def value(self, name: str, **labels: str) -> float | None:
        """Return the one sample that has these labels, `None` where there is none."""
        found = [value for (sample, own), value in self.items() if sample == name and labels.items() <= set(own)]
        assert len(found) <= 1, f"{name} {labels} is not one sample: {found}"
        return found[0] if found else None

    def labels(self, name: str, label: str) -> set[str]:
        """Return every value that a label has in a metric."""
        return {dict(own)[label] for sample, own in self if sample == name}

    def named(self, prefix: str) -> Samples:
        """Return the samples whose names begin like this."""
        named = Samples({key: value for key, value in self.items() if key[0].startswith(prefix)})
        named.day = self.day
        return named


class Running:
    """A process that was started here: its output so far, signals for it, and its end."""

    def __init__(self, popen: subprocess.Popen[str] | Prepared) -> None:
        self._popen = popen
        self._lines: list[str] = []
        # Pipes are read at once: a full one would stop the process, and a file would fall under its limits.
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._popen.pid

    @property
    def output(self) -> str:
        """Everything it wrote to standard output and standard error so far."""
        return "".join(self._lines)

    @property
    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self._popen.poll() is None

    def wait_for(self, pattern: str, seconds: float = DEADLINE_SECONDS) -> str:
        """Wait until it wrote something like `pattern`, and return the first group, or the whole match."""

        def found() -> str | None:
            matched = re.search(pattern, self.output)
            assert matched or self.is_alive, f"it ended without {pattern!r}:\n{self.output}"
            return matched[matched.re.groups and 1] if matched else None

        return wait_until(found, f"{pattern!r} in the output", seconds)

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._popen.send_signal(number)

    def wait(self, seconds: float = DEADLINE_SECONDS) -> int:
        """Wait for its end, and return the exit code, below zero where a signal ended it."""
        try:
            code = self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it still runs after {seconds} s:\n{self.output}") from None
        self._reader.join(seconds)
        return code

    def kill(self) -> None:
        """End it as a crash would."""
        self._popen.kill()
        self.wait()

    def _read(self) -> None:
        assert self._popen.stdout is not None
        with self._popen.stdout as stream:
            for line in stream:
                self._lines.append(line)


class Exporter(Running):
    """A running service or demo, and its addresses."""

    def __init__(self, popen: subprocess.Popen[str] | Prepared, seconds: float = DEADLINE_SECONDS) -> None:
        super().__init__(popen)
        self.url = self.wait_for(r"listening\W.*?(http://127\.0\.0\.1:\d+)", seconds)

    def get(self, path: str) -> Answer:
        """Ask it for a page."""
        return fetch(self.url + path)

    def post(self, path: str) -> Answer:
        """Send an empty POST."""
        return fetch(self.url + path, method="POST")

    def scrape(self) -> Samples:
        """Return what /metrics shows now."""
        return parse_metrics(self.get("/metrics").text)

    def scrape_when(self, is_wanted: Callable[[Samples], object], what: str) -> Samples:
        """Scrape until the samples are as wanted, and return them."""

        def scraped() -> Samples | None:
            assert self.is_alive, f"it ended before {what}:\n{self.output}"
            samples = self.scrape()
            return samples if is_wanted(samples) else None

        return wait_until(scraped, what)


class Vendor:
    """A simulated vendor in a thread of this process: its world and faults can be changed while it answers."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def world(self) -> World:
        """What exists."""
        return self.simulator.world

    @property
    def faults(self) -> Faults:
        """What goes wrong."""
        return self.simulator.faults

    @property
    def database_ids(self) -> list[str]:
        """The ids of all databases."""
        return [database.id for database in self.world.databases(datetime.now(UTC))]

    def start(self) -> None:
        """Answer, from here on."""
        self._thread.start()
        assert self._listening.wait(DEADLINE_SECONDS)

    def stop(self) -> None:
        """Close every connection and refuse new ones."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(DEADLINE_SECONDS)

    def wait_for_calls(self, name: str) -> None:
        """Wait until an operation is called once more."""
        before = self.simulator.requests[name]
        wait_until(lambda: self.simulator.requests[name] > before, f"a call of {name}")

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        async with serve_simulator(self.simulator.app) as self.url:
            self._listening.set()
            await self._stop.wait()


@contextmanager
def vendor(
    *,
    workspaces: int,
    databases: int,
    projects_per_workspace: int = 3,
    clock: Callable[[], datetime] = system_clock,
) -> Iterator[Vendor]:
    """Run a vendor whose databases are all used, so that no number is 0."""
    world = World(
        seed=3,
        shape=WorldShape(
            workspaces=workspaces,
            projects_per_workspace=projects_per_workspace,
            databases=databases,
            idle_share=0.0,
            operations_per_day=(1_000_000, 2_000_000),
        ),
        begins_at=datetime.now(UTC) - timedelta(days=60),
    )
    running = Vendor(Simulator(world, clock))
    running.start()
    try:
        yield running
    finally:
        running.stop()


@contextmanager
def command(*arguments: str, cwd: Path, environ: Mapping[str, str] | None = None) -> Iterator[Running]:
    """Run a command of the exporter, and kill it in the end if it still runs."""
    running = Running(_start_exporter(arguments, cwd, environ))
    with ended(running):
        yield running


@contextmanager
def exporter(
    *arguments: str,
    cwd: Path,
    environ: Mapping[str, str] | None = None,
    as_command_line: bool = False,
    seconds: float = DEADLINE_SECONDS,
) -> Iterator[Exporter]:
    """Run `serve` or `demo` on a free port, and wait so long until it listens.

    `as_command_line` starts an interpreter for it, whose command line can be looked at.
    """
    whole = (*arguments, "--listen", "127.0.0.1:0")
    popen = _start((*EXPORTER, *whole), cwd, environ) if as_command_line else _start_exporter(whole, cwd, environ)
    try:
        running = Exporter(popen, seconds)
    except BaseException:
        popen.kill()
        popen.wait()
        raise
    with ended(running):
        yield running


@contextmanager
def program(*arguments: str, cwd: Path) -> Iterator[Running]:
    """Run another program."""
    running = Running(_start(arguments, cwd, None))
    with ended(running):
        yield running


@contextmanager
def ended(running: Running) -> Iterator[None]:
    """Kill the process afterwards, if it still runs."""
    try:
        yield
    finally:
        if running.is_alive:
            running.kill()


def run(*arguments: str, cwd: Path, environ: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command of the exporter to its end; one that looks at ports does so at a free one, where none is named."""
    process = Prepared(
        arguments, cwd=cwd, environ=_free_to_listen(arguments, cwd, _environment(environ)), separate=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with ThreadPoolExecutor(2) as readers, process.stdout, process.stderr:
        # Pipes are read at once: a full one would stop the process.
        output, errors = readers.submit(process.stdout.read), readers.submit(process.stderr.read)
        try:
            code = process.wait(LONGEST_RUN_SECONDS)
        finally:
            process.kill()
        return subprocess.CompletedProcess((*EXPORTER, *arguments), code, output.result(), errors.result())


def write_config(path: Path, **sections: object) -> Path:
    """Write a configuration that looks every second and keeps to no budget; `sections` win over it."""
    values: dict[str, object] = {
        "poll": {"interval": INTERVAL, "requests_per_second": 1000, "windows": ["24h", "7d"]},
        "discovery": {"interval": INTERVAL},
        "web": {"enable_lifecycle": True},
        **sections,
    }
    path.write_text(yaml.safe_dump(values))
    return path


def write_tokens(directory: Path, **tokens: str) -> Path:
    """Write a directory with one token a file, named by its credential."""
    directory.mkdir(exist_ok=True)
    for name, token in tokens.items():
        replace_file(directory / name, token)
    return directory


def replace_file(path: Path, text: str) -> None:
    """Put another file in the place of this one, as a secret's mount does."""
    draft = path.with_name(f".{path.name}")
    draft.write_text(f"{text}\n")
    draft.chmod(0o600)
    draft.replace(path)


def fetch(url: str, *, method: str = "GET", document: object = None, accept: str = "text/plain") -> Answer:
    """Send a request, `document` as JSON, and return the answer, whatever its status."""
    content = json.dumps(document).encode() if document is not None else None
    request = urllib.request.Request(url, data=content, method=method, headers={"Accept": accept})
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE_SECONDS) as response:
            return Answer(response.status, response.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.read().decode())


def parse_metrics(text: str) -> Samples:
    """Read an exposition in text 0.0.4; a sample that stands twice fails."""
    samples = Samples()
    samples.day = datetime.now(UTC).date()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in samples, f"{key} stands twice"
            samples[key] = sample.value
    return samples


def assert_nothing_is_missing(before: Samples, after: Samples) -> None:
    """Every database series of `before` is in `after`; none became 0, no counter fell."""
    expected = before.named(DATA_PREFIX)
    if before.day != after.day:
        for key in [key for key in expected if any(part in key[0] for part in ENDS_AT_MIDNIGHT)]:
            del expected[key]
    assert expected
    assert [key for key in expected if key not in after] == []
    assert [key for key, value in expected.items() if value and not after[key] and key[0] not in MAY_BECOME_0] == []
    assert_no_counter_fell(before, after)


def assert_no_counter_fell(before: Samples, after: Samples) -> None:
    """Every counter of a database is where it was, or higher."""
    counters = [key for key in before.named(DATA_PREFIX) if key[0].endswith("_total")]
    assert counters
    assert [key for key in counters if after[key] < before[key]] == []


def wait_until(look: Callable[[], T | None], what: str, seconds: float = DEADLINE_SECONDS) -> T:
    """Look until there is something true, and return it; fail after the deadline."""
    ends_at = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < ends_at, f"waited {seconds} s in vain for {what}"
        time.sleep(LOOK_EVERY_SECONDS)
    return found


def _start_exporter(arguments: Sequence[str], cwd: Path, environ: Mapping[str, str] | None) -> Prepared:
    return Prepared(arguments, cwd=cwd, environ=_environment(environ), separate=False)


def _start(
    arguments: Sequence[str] | Iterable[str], cwd: Path, environ: Mapping[str, str] | None
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        list(arguments),
        cwd=cwd,
        env=_environment(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _free_to_listen(arguments: Sequence[str], cwd: Path, environ: Mapping[str, str]) -> Mapping[str, str]:
    """The environment for a command that says what it finds at the default port: who has that now is no test's."""
    config = Path(cwd, arguments[arguments.index("--config") + 1]) if "--config" in arguments else None
    names_one = "--listen" in arguments or (config is not None and config.is_file() and "listen:" in config.read_text())
    if arguments[0] not in {"check", "doctor"} or names_one:
        return environ
    return {"PRISMA_POSTGRES_LISTEN": f":{free_port()}", **environ}


def _environment(given: Mapping[str, str] | None) -> dict[str, str]:
    """This environment without what configures an exporter, and without what changes how it prints."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PRISMA_")}
    return {**kept, "COLUMNS": "200", "NO_COLOR": "1", "PYTHONUNBUFFERED": "1", **(given or {})}
