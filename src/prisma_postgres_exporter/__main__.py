"""The command, from its first moment on: SIGTERM ends it as Ctrl-C does, and within a second.

`python -m prisma_postgres_exporter` and the installed program begin here. A container's first process gets no signal
that it has no handler for, and loading a command takes a while: the handler comes before everything else. The image has
the signal wait until then (`env --block-signal`), since the interpreter takes a moment too.
"""

import os
import signal
import sys
import threading
import time
from importlib import import_module
from types import FrameType

EXIT_INTERRUPTED = 130
LAST_SECONDS = 0.8
SEEN_SECONDS = 0.1
_interrupted = threading.Event()


def main() -> None:
    """Run the command line and leave with its exit code."""
    try:
        signal.signal(signal.SIGTERM, _interrupt)
        _end_in_time()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        import_module("prisma_postgres_exporter.cli").main()
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except Exception:
        # A library that is interrupted while it is loaded makes an error of its own of it.
        if _interrupted.wait(SEEN_SECONDS):
            sys.exit(EXIT_INTERRUPTED)
        raise


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Do what Ctrl-C does now, also where the shell has switched it off for what runs in the background."""
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler):
        raise KeyboardInterrupt
    handler(signal.SIGINT, frame)


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


if __name__ == "__main__":
    main()
