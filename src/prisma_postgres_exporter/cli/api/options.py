"""The options that the `api` commands share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer

REGIONS = ("us-east-1", "us-west-1", "eu-west-3", "eu-central-1", "ap-northeast-1", "ap-southeast-1")
"""What is offered for completion; which regions there are is asked of the API."""
INHERIT = "inherit"
"""The region of the project: the default of our commands."""

WorkspaceOption = Annotated[
    str | None,
    typer.Option("--workspace", help="Only this workspace, by id or name, where there are several.", metavar="NAME"),
]
AllOption = Annotated[
    bool, typer.Option("--all", help="Print everything, whatever --limit is and however many pages it takes.")
]
LimitOption = Annotated[int, typer.Option("--limit", help="Print at most this many.", min=1, max=1_000)]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask: for scripts.")]
RevealOption = Annotated[
    bool,
    typer.Option("--reveal", help="Print the secrets: connection strings and tokens. The API shows them this once."),
]
_PROJECT = typer.Option("--project", help="The project, by id or name.", metavar="NAME")
ProjectOption = Annotated[str | None, _PROJECT]
OwnerOption = Annotated[str, _PROJECT]
"""The project where there must be one."""
_DATABASE = typer.Option("--database", help="The database, by id or name.", metavar="NAME")
DatabaseOption = Annotated[str | None, _DATABASE]
OwnerDatabaseOption = Annotated[str, _DATABASE]
"""The database where there must be one."""
DatabaseArgument = Annotated[
    str, typer.Argument(help="The database, by id or name.", metavar="NAME", show_default=False)
]
MadeUpNameArgument = Annotated[
    str | None,
    typer.Argument(help="Its name; the vendor makes one up without it.", metavar="NAME", show_default=False),
]
LogicalIdOption = Annotated[str | None, typer.Option("--logical-id", help="An id of your own; taken once.")]
WithLogicalIdOption = Annotated[str | None, typer.Option("--logical-id", help="Only those with this logical id.")]


def _regions(incomplete: str) -> Iterator[str]:
    return (region for region in REGIONS if region.startswith(incomplete))


RegionOption = Annotated[
    str | None,
    typer.Option(
        "--region",
        help="Where: one of `api regions postgres`. (default: the vendor's)",
        metavar="REGION",
        autocompletion=_regions,
    ),
]
DatabaseRegionOption = Annotated[
    str,
    typer.Option(
        "--region",
        help="Where: one of `api regions postgres`, or `inherit`: the project's region. That is the default of this "
        "command; the API's own is us-east-1.",
        metavar="REGION",
        autocompletion=lambda incomplete: [one for one in (*REGIONS, INHERIT) if one.startswith(incomplete)],
    ),
]
