"""The command line, ended by Ctrl-C and SIGTERM with one exit code and no traceback, whatever runs just then."""

import atexit
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from importlib import import_module
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

EXIT_INTERRUPTED = 130
LAST_SECONDS = 0.8
SEEN_SECONDS = 0.1
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_interrupted = threading.Event()


def run() -> None:
    """Load and run the command line.

    Raises:
        SystemExit: it has ended.
        KeyboardInterrupt: a signal ended it before it could say so itself.
    """
    # What is registered first comes last.
    atexit.register(_handle, signal.SIG_IGN)
    sys.unraisablehook = _end_where_an_interrupt_is_lost
    try:
        _end_in_time()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        import_module("prisma_postgres_exporter.cli").main()
    except Exception:
        # A library that is interrupted while it is loaded makes an error of its own of it.
        if _interrupted.wait(SEEN_SECONDS):
            sys.exit(EXIT_INTERRUPTED)
        raise
    finally:
        # The command is done and has cleaned up; what is left is the interpreter's own end, which takes no interrupt.
        _handle(_end)


def _handle(handler: signal.Handlers | Callable[[int, FrameType | None], None]) -> None:
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


def _end(number: int, frame: FrameType | None) -> None:
    os._exit(EXIT_INTERRUPTED)


def _end_where_an_interrupt_is_lost(error: "UnraisableHookArgs") -> None:
    """A finalizer or a callback of a weak reference that is interrupted would print a traceback, and go on."""
    if not issubclass(error.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(error)
        return
    import_module("prisma_postgres_exporter.ending").end_at_once(EXIT_INTERRUPTED)


def _end_in_time() -> None:
    """Let a thread see the signal too: a handler waits while a library waits for a server that says nothing.

    An event loop with a handler of its own takes the signal over, and with it the time that ending may take.
    """
    seen, written = os.pipe()
    os.set_blocking(written, False)
    signal.set_wakeup_fd(written, warn_on_full_buffer=False)

    def watch() -> None:
        while (number := os.read(seen, 1)[0]) != signal.SIGTERM:
            if number == signal.SIGINT:
                _interrupted.set()
        _interrupted.set()
        time.sleep(LAST_SECONDS)
        import_module("prisma_postgres_exporter.ending").end_at_once(EXIT_INTERRUPTED)

    threading.Thread(target=watch, name="end", daemon=True).start()
