"""An HTTP server that takes what is pushed, or answers as it is told first."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True, slots=True)
class Received:
    """A request."""

    path: str
    headers: Message
    body: bytes


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer; `None` for a status is none at all, until the receiver is released."""

    status: int | None
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class Receiver:
    """What was taken so far; `answers` are given first, one to a request."""

    def __init__(self) -> None:
        self.taken: list[Received] = []
        self.answers: list[Answered | Callable[[Received], Answered]] = []
        self.asked = threading.Event()
        self.release = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, request: Received) -> Answered:
        """The next answer; a request with a good one is taken."""
        self.asked.set()
        planned = self.answers.pop(0) if self.answers else Answered(200)
        answer = planned(request) if callable(planned) else planned
        if answer.status == 200:
            self.taken.append(request)
        return answer

    def stop(self) -> None:
        """Receive no more."""
        self.release.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def receiver() -> Iterator[Receiver]:
    """Run one."""
    running = Receiver()
    try:
        yield running
    finally:
        running.stop()


def _handler(running: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answer = running.answer(Received(self.path, self.headers, body))
            if answer.status is None:
                running.release.wait()
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *_arguments: object) -> None:
            """Write no line for each request."""

    return Handler
