"""The system's clock, some seconds ahead, for processes that are started with this in their environment."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

SOURCE = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile long long *ahead;

__attribute__((constructor)) static void begin(void) {
    ahead = mmap(0, sizeof *ahead, PROT_READ, MAP_SHARED, open(getenv("CLOCK_AHEAD"), O_RDONLY), 0);
}

int clock_gettime(clockid_t id, struct timespec *at) {
    int failed = syscall(SYS_clock_gettime, id, at);
    if (!failed && id == CLOCK_REALTIME) at->tv_sec += *ahead;
    return failed;
}

time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return at ? *at = now.tv_sec : now.tv_sec;
}
"""
"""What the file says that is mapped counts for the whole process, at once."""


class FakedClock:
    """A clock that can be put ahead, or back, while processes look at it."""

    def __init__(self, directory: Path) -> None:
        source, library, self._ahead = directory / "clock.c", directory / "clock.so", directory / "ahead"
        source.write_text(SOURCE)
        subprocess.run(("cc", "-shared", "-fPIC", "-o", str(library), str(source)), check=True)
        self._ahead.write_bytes(bytes(8))
        self.environ = {"LD_PRELOAD": str(library), "CLOCK_AHEAD": str(self._ahead)}

    def put(self, seconds: int) -> None:
        """Put it so many seconds ahead of the machine's."""
        with self._ahead.open("r+b") as mapped:
            mapped.write(struct.pack("q", seconds))
