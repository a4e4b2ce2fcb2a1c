"""Who should collect what: an answer for any claims, against what it must satisfy."""

from __future__ import annotations

from collections import Counter

from hypothesis import example, given
from hypothesis import strategies as st

from prisma_postgres_exporter.store import Claims
from prisma_postgres_exporter.store.sharing import share_out

SESSIONS = ["s1", "s2", "s3", "s4"]
WORKSPACES = [f"w{number}" for number in range(9)]
subsets = st.frozensets(st.sampled_from(WORKSPACES))


@given(
    claims=st.dictionaries(st.sampled_from(SESSIONS), st.builds(Claims, workspaces=subsets, is_complete=st.booleans())),
    holders=st.dictionaries(st.sampled_from(WORKSPACES), st.sampled_from([*SESSIONS, None])),
    followed=subsets,
)
def test_each_workspace_that_somebody_can_collect_is_given_to_one_of_them(
    claims: dict[str, Claims], holders: dict[str, str | None], followed: frozenset[str]
) -> None:
    shares = share_out(claims, holders=holders, followed=followed)
    claimed = {id_ for row in claims.values() for id_ in row.workspaces}
    are_complete = bool(claims) and all(row.is_complete for row in claims.values())
    assert shares.keys() == claimed | (followed if are_complete else frozenset())
    for id_, session in shares.items():
        assert id_ in claims[session].workspaces if id_ in claimed else session in claims


@example(sessions=3, workspaces=6, holders=["s1"] * 4 + ["s2"] * 2 + [None] * 3)
@given(
    sessions=st.integers(1, 4),
    workspaces=st.integers(0, 9),
    holders=st.lists(st.sampled_from([*SESSIONS, None]), min_size=9, max_size=9),
)
def test_equals_get_equal_shares_and_what_is_fair_already_stays(
    sessions: int, workspaces: int, holders: list[str | None]
) -> None:
    ids = WORKSPACES[:workspaces]
    claims = dict.fromkeys(SESSIONS[:sessions], Claims(workspaces=frozenset(ids), is_complete=True))
    before = dict(zip(ids, holders, strict=False))
    shares = share_out(claims, holders=before, followed=ids)
    counts = Counter(dict.fromkeys(claims, 0)) + Counter(shares.values())
    sizes = [counts[session] for session in claims]
    assert max(sizes) - min(sizes) <= 1
    # The next time everybody comes to the same answer, and nothing moves.
    assert share_out(claims, holders=shares, followed=ids) == shares
    # As few change hands as can: who holds no more than its share keeps all of it.
    for session in claims:
        own = {id_ for id_, holder in before.items() if holder == session}
        if len(own) <= workspaces // sessions:
            assert own <= {id_ for id_, holder in shares.items() if holder == session}


def test_one_that_loses_its_credential_everywhere_goes_to_somebody_who_notes_it() -> None:
    claims = {"s1": Claims(workspaces=frozenset({"w1"}), is_complete=True), "s2": Claims(is_complete=True)}
    assert share_out(claims, holders={"w2": "s1"}, followed=["w1", "w2"]) == {"w1": "s1", "w2": "s2"}
    # While one of them cannot say whose its token is, it may be that one's.
    claims["s2"] = Claims()
    assert share_out(claims, holders={"w2": "s1"}, followed=["w1", "w2"]) == {"w1": "s1"}


def test_one_whose_credential_is_refused_leaves_the_workspace_to_one_that_can() -> None:
    w1 = frozenset({"w1"})
    claims = {"s1": Claims(workspaces=w1, refused=w1), "s2": Claims(workspaces=w1)}
    assert share_out(claims, holders={"w1": "s1"}, followed=["w1"]) == {"w1": "s2"}
    # Refused everywhere, it stays where it is: nobody could do better, and it is no workspace without a credential.
    claims = dict.fromkeys(claims, Claims(workspaces=w1, refused=w1, is_complete=True))
    assert share_out(claims, holders={"w1": "s1"}, followed=["w1"]) == {"w1": "s1"}
