"""Read usage: planned reads in, readings and failures out."""

from prisma_postgres_exporter.poll.answers import interpret
from prisma_postgres_exporter.poll.workers import PollResult, poll

__all__ = ["PollResult", "interpret", "poll"]
