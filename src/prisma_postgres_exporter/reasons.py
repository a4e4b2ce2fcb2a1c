"""What the short constants mean that say why something was not read, and what to do about each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

RENEWAL: Final = (
    "make a service token at https://console.prisma.io (the workspace's Settings, Service Tokens, New Service Token)"
)
BLOCKED: Final = "plan_limit_reached"
"""A read that the vendor refuses because the workspace is blocked."""

REFUSED: Final = frozenset({BLOCKED, "http_401", "http_403", "other_workspace", "no_workspace"})
"""What a second try does not help before somebody has done something."""

MORE_DESCRIPTORS: Final = "raise the limit of open files (LimitNOFILE of systemd, `ulimit -n`, `--ulimit nofile`)"
_NEXT_TRY = "the exporter tries again on its own"
_REPORT = "the exporter uses no such answer; report it if it lasts"
_VENDOR_DOWN = f"the vendor's API has a fault; {_NEXT_TRY}, see the vendor's status page if it lasts"

MEANINGS: Final[Mapping[str, str]] = {
    # The way to the API
    "timeout": f"the API did not answer in time; {_NEXT_TRY}",
    "connect_timeout": f"no connection to the API in time: check network and firewall; {_NEXT_TRY}",
    "unreachable": "cannot connect to the API: check DNS, network, firewall and `api_url`, and HTTPS_PROXY where a "
    "proxy is the only way out",
    "no_descriptors": f"this process has too many open files: {MORE_DESCRIPTORS}",
    "proxy": "the proxy cannot be reached or refuses: check HTTPS_PROXY and NO_PROXY",
    "tls": "no trusted TLS connection: check the clock, SSL_CERT_FILE and the proxy",
    "disconnected": f"the connection broke; {_NEXT_TRY}",
    "cut_body": f"the answer was cut short; {_NEXT_TRY}",
    "client_closed": f"the exporter was stopping or reloading; {_NEXT_TRY}",
    # What the API said
    "http_401": f"the token is wrong, expired or revoked: {RENEWAL}",
    "http_403": "the token may not read this: use one of this workspace that may",
    "http_404": "the API does not know it: a database that was deleted or moved is noted at once; for all else check "
    "`api_url`",
    "http_408": _VENDOR_DOWN,
    "http_425": _VENDOR_DOWN,
    "http_429": "too many requests: lower `poll.requests_per_second` if it lasts",
    "http_500": _VENDOR_DOWN,
    "http_502": _VENDOR_DOWN,
    "http_503": f"the vendor's API is unavailable for the moment; {_NEXT_TRY}",
    "http_504": _VENDOR_DOWN,
    BLOCKED: "the vendor blocks the workspace: a limit of its plan is reached, or an invoice is unpaid; "
    "`doctor`, `cost` and the status page name the likely one and the way out",
    "other_workspace": "the token is of another workspace now: use one of this workspace",
    "no_workspace": f"the token belongs to no workspace: {RENEWAL}",
    # What cannot be used
    "redirect": "redirected, which the API never does: check `api_url` and the proxy",
    "unexpected_status": f"a status that is not part of the API; {_REPORT}",
    "bad_http": "not an HTTP answer: check `api_url` and the proxy",
    "compressed": f"a compressed answer that was not asked for; {_REPORT}",
    "too_large": f"an answer larger than any the API gives; {_REPORT}",
    "not_json": "not JSON, so not the Management API's answer: check `api_url` and the proxy",
    "wrong_shape": f"an answer that is not part of the API; {_REPORT}",
    "wrong_unit": f"a number in another unit than the API documents; {_REPORT}",
    "absurd_number": f"a number outside what is possible; {_REPORT}",
    "bad_period": f"a period that ends before it starts; {_REPORT}",
    "wrong_period": f"numbers of another period than the one asked for; {_REPORT}",
    "cursor_repeats": f"a list that repeats itself; {_REPORT}",
    "endless_list": f"a list that does not end; {_REPORT}",
    "list_cut": f"a list that ends before its last entry; {_REPORT}",
    # On our side
    "clock_skew": "this machine's clock is wrong: set it (NTP); nothing is written until then",
    "store_unavailable": "the store cannot be written: see the store's error on the status page",
    "unforeseen": "a fault of the exporter: report it with the traceback in the log",
    "no_credential": "no credential is of this workspace: add its token to the configuration",
    "empty": "the token is empty: write the token into its file or variable",
    "missing": "the token is not there: check its path or variable",
    "unreadable": "the token's file cannot be read: check its path, permissions and content",
    "malformed": f"not a token: {RENEWAL}",
}


def reason_in_words(reason: str) -> str:
    """Say a reason, what it means and what to do, in one line without a final stop: `timeout: the API did not …`.

    One that is not known, of a newer version of the store perhaps, is returned as it is.
    """
    meaning = meaning_of(reason)
    return reason if meaning is None else f"{reason}: {meaning}"


def meaning_of(reason: str) -> str | None:
    """Return what a reason means and what to do, `None` for one that is not known."""
    if reason in MEANINGS:
        return MEANINGS[reason]
    if reason.startswith("http_4"):
        return f"the API refuses the request ({reason.removeprefix('http_')}); {_REPORT}"
    if reason.startswith("http_5"):
        return _VENDOR_DOWN
    return None
