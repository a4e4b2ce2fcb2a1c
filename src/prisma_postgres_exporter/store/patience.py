"""How long a store's server may say nothing."""

from __future__ import annotations

from dataclasses import dataclass

USUAL_SECONDS = 30.0
HURRIED_SECONDS = 3.0

SILENT = "the server accepted the connection and did not answer"


@dataclass(slots=True)
class Patience:
    """For so many `seconds` a call waits for a sign of life; all calls of a store share it."""

    seconds: float = USUAL_SECONDS

    @property
    def is_hurried(self) -> bool:
        """Whether this process is to end."""
        return self.seconds <= HURRIED_SECONDS

    def hurry(self) -> None:
        """Give up sooner, also what is waited for already: this process is to end."""
        self.seconds = HURRIED_SECONDS


def is_silence(error: BaseException) -> bool:
    """Whether a call was given up as its server said nothing."""
    return SILENT in str(error)
