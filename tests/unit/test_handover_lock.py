"""The lock of a hand-over, on nodes that do not answer, or only take the connection."""

from __future__ import annotations

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._cluster import lock
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._server.peer import Peer
from ansible_collections.relevo.postgres.plugins.module_utils._server.session import Session, SessionError

NODES = [Peer(name, name) for name in "abc"]


class Server:
    """A session of a server: ``says`` is its answer to who wants the lock, or the error in place of one."""

    def __init__(self, says: bool | str) -> None:
        self.says, self.closed = says, False

    def flag(self, _query: str, _parameters: object) -> bool:
        if isinstance(self.says, str):
            raise SessionError(self.says)
        return self.says

    def value(self, _query: str) -> str:
        return "relevo failover by alice"

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Server]:
    found = {peer.name: Server(True) for peer in NODES}

    def remote(peer: Peer, *_given: object, **_named: object) -> Server:
        return found[peer.name]

    monkeypatch.setattr(Session, "remote", remote)
    monkeypatch.setattr(Session, "local", lambda _database, _purpose, timeout: found["b"] if timeout == 30 else None)
    return found


def taken(required: set[str]) -> lock.HandoverLock:
    made = lock.HandoverLock("promotion of b by alice")
    made.take("b", NODES, required)
    return made


def test_a_node_that_takes_the_connection_and_hangs_is_left_out(servers: dict[str, Server]) -> None:
    servers["c"].says = "c: no answer in time"
    made = taken({"b"})
    assert (sorted(made.sessions), made.unreachable) == (["a", "b"], {"c": "c: no answer in time"})
    assert servers["c"].closed


def test_one_that_is_needed_ends_it_and_no_lock_is_kept(servers: dict[str, Server]) -> None:
    servers["c"].says = "c: no answer in time"
    with pytest.raises(RelevoError, match=r"^c: no answer in time\. Nothing was changed\.$"):
        taken({"b", "c"})
    assert all(server.closed for server in servers.values())


def test_who_has_it_is_named(servers: dict[str, Server]) -> None:
    servers["c"].says = False
    with pytest.raises(RelevoError, match="holds the hand-over lock on c: relevo failover by alice") as caught:
        taken({"b"})
    assert isinstance(caught.value, RelevoError)
    assert not isinstance(caught.value, SessionError)
    assert all(server.closed for server in servers.values())
