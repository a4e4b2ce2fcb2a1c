"""The command, from its first moment on: SIGTERM ends it as Ctrl-C does, and within a second.

`python -m prisma_postgres_exporter` and the installed program begin here. A container's first process gets no signal
that it has no handler for, and loading a command takes a while: the handler comes before everything else, also before
what handles signals well. The image has the signal wait until then (`env --block-signal`), since the interpreter takes
a moment too.
"""

import signal
import sys
from importlib import import_module
from types import FrameType

EXIT_INTERRUPTED = 130


def main() -> None:
    """Run the command line and leave with its exit code."""
    try:
        signal.signal(signal.SIGTERM, _interrupt)
        import_module("prisma_postgres_exporter.interrupting").run()
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Do what Ctrl-C does now, also where the shell has switched it off for what runs in the background."""
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler):
        raise KeyboardInterrupt
    handler(signal.SIGINT, frame)


if __name__ == "__main__":
    main()
