"""Whether a new cluster may be made where no server takes writes: only when all who could hold an older one say no."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.relevo.postgres.plugins.action import pg_initdb_check
from ansible_collections.relevo.postgres.plugins.filter.node_holdings import node_holdings
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.founding import (
    Holding,
    RepositoryHolding,
    decide,
)
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError

NOTHING = Holding()
PRIMARY = Holding(initialised=True, timeline=2)
STANDBY = Holding(initialised=True, standby=True, timeline=2)
FENCED = Holding(initialised=True, fenced=True)
EMPTY = RepositoryHolding()
FULL = RepositoryHolding(("20261126-004613F",), archives=True, exists=True)


def refused(a: Holding | None, b: Holding | None, repository: RepositoryHolding | None = EMPTY, **more: Any) -> str:
    with pytest.raises(RelevoError) as caught:
        decide("main", "a", {"a": a, "b": b}, repository, **more)
    return caught.value.message


def test_where_all_say_that_they_hold_nothing_a_cluster_is_made() -> None:
    assert decide("main", "a", {"a": NOTHING, "b": NOTHING}, EMPTY) == "found"


@pytest.mark.parametrize("other", [NOTHING, STANDBY])
def test_a_preferred_primary_that_only_stands_still_is_started(other: Holding) -> None:
    assert decide("main", "a", {"a": PRIMARY, "b": other}, FULL) == "start"


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        (NOTHING, STANDBY, "promote one with failover.yml; a is then made anew by rejoin.yml"),
        (STANDBY, STANDBY, "Start the servers of a and b, if they do not run, and promote one"),
        (NOTHING, PRIMARY, "Start the server of b"),
        (PRIMARY, PRIMARY, "a and b were both primary when they stopped"),
        (STANDBY, PRIMARY, "Start the server of b"),
        (NOTHING, FENCED, "bring b back with rejoin.yml or failover.yml"),
        (NOTHING, None, "b does not answer and may hold its data"),
        (None, None, "a and b do not answer and may hold its data"),
        (PRIMARY, None, "Start b"),
        (STANDBY, None, "Start b"),
    ],
)
def test_data_on_any_disk_forbid_a_new_cluster(a: Holding | None, b: Holding | None, words: str) -> None:
    said = refused(a, b, new_cluster=True)
    assert words in said
    assert "No new cluster was made, and nobody was promoted." in said
    assert "base backup" not in said


def test_who_holds_what_is_said() -> None:
    assert "a holds nothing; b holds data on timeline 2 as a standby." in refused(NOTHING, STANDBY)


@pytest.mark.parametrize(
    ("repository", "words"),
    [
        (FULL, "the repository holds backups of it (1, the newest 20261126-004613F)"),
        (RepositoryHolding(archives=True, exists=True), "the repository holds WAL of it"),
        (RepositoryHolding(exists=True), "the repository has its stanza"),
    ],
)
def test_a_repository_that_holds_something_forbids_it_unless_that_is_given_up(
    repository: RepositoryHolding, words: str
) -> None:
    said = refused(NOTHING, NOTHING, repository)
    assert words in said
    assert "site.yml -e new_cluster=main" in said
    assert decide("main", "a", {"a": NOTHING, "b": NOTHING}, repository, new_cluster=True) == "found"


def test_a_repository_that_says_nothing_is_not_an_empty_one() -> None:
    assert "may hold its backups" in refused(NOTHING, NOTHING, None, new_cluster=True)
    unclear = RepositoryHolding(problem="The repository of stanza main is not in order: no route.")
    assert "could not say what it holds: The repository" in refused(NOTHING, NOTHING, unclear, new_cluster=True)


def result(*codes: int, **more: Any) -> dict[str, Any]:
    repos = [{"key": number, "status": {"code": code}} for number, code in enumerate(codes, start=1)]
    return {"exists": 1 not in codes, "problem": "not in order", "raw": {"repo": repos}, **more}


def test_one_of_two_repositories_that_has_not_answered_has_not_said_that_it_is_empty() -> None:
    assert RepositoryHolding.of(result(1)) == EMPTY
    assert RepositoryHolding.of(result(1, 1)) == EMPTY
    assert RepositoryHolding.of(result(1, 99)).problem == "not in order"
    assert RepositoryHolding.of(result(0, backups=[{"label": "x"}], archive=[{"max": None}])).backups == ("x",)
    assert RepositoryHolding.of(result(2, archive=[{"max": "000000010000000000000001"}])).archives


def test_a_new_cluster_is_made_where_no_repository_holds_anything() -> None:
    assert RepositoryHolding.together([FULL]) == FULL
    assert RepositoryHolding.together([EMPTY, EMPTY]) == EMPTY
    assert RepositoryHolding.together([EMPTY, FULL]) == FULL
    unclear = RepositoryHolding(problem="no route.")
    assert RepositoryHolding.together([EMPTY, unclear]).problem == "no route."
    older = RepositoryHolding(("20261125-004613F",), exists=True)
    assert RepositoryHolding.together([FULL, older]).backups == (*older.backups, *FULL.backups)


def test_each_of_two_repositories_is_asked_before_a_new_cluster_is_made() -> None:
    """The first one may be on a new disk."""
    asked: list[int] = []

    def module(name: str, given: dict[str, Any]) -> dict[str, Any]:
        if name == "relevo.postgres.pgbackrest_repositories_info":
            return {"repositories": [{"number": 1}, {"number": 2}]}
        assert name == "relevo.postgres.pgbackrest_info"
        asked.append(given["repository"])
        holds = [{"label": "20261126-004613F"}] if given["repository"] == 2 else []
        return {"exists": bool(holds), "backups": holds, "raw": {}}

    check = object.__new__(pg_initdb_check.ActionModule)
    check.module = module  # type: ignore[method-assign, assignment]
    found = check._repository("main")
    assert asked == [1, 2]
    assert found is not None
    assert found.backups == ("20261126-004613F",)


def test_what_a_play_knows_of_a_disk() -> None:
    hostvars = {"a": {"__postgresql_node": {"node": {"initialised": True}}}, "b": {}, "c": {}}
    found = node_holdings(["a", "b", "c"], hostvars, ["a"], ["c"])
    assert found["a"] == {"initialised": True}
    assert found["b"] == {}
    assert Holding.of(found["c"]).holds
