"""What the modules do with their arguments before they touch anything."""

from __future__ import annotations

from typing import Any, NoReturn

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._handover.promote import promote
from ansible_collections.relevo.postgres.plugins.module_utils._server.arguments import find_node
from ansible_collections.relevo.postgres.plugins.module_utils._server.peer import Peer
from ansible_collections.relevo.postgres.plugins.modules import pg_initdb, pg_switchover

NODES: list[dict[str, Any]] = [
    {"name": "a", "host": None, "port": 5432},
    {"name": "b", "host": "10.0.0.2", "port": 5432},
]


class FailedError(Exception):
    """What a module said with ``fail_json``."""


class FakeModule:
    """An AnsibleModule of which only the arguments count."""

    check_mode = True

    def __init__(self, **parameters: Any) -> None:
        self.params = parameters

    def fail_json(self, **result: Any) -> NoReturn:
        raise FailedError(result["msg"])


def test_a_node_is_found_by_its_name() -> None:
    nodes = [Peer.from_dict(node) for node in NODES]
    assert find_node(nodes, "b") is nodes[1]


@pytest.mark.parametrize(
    "work",
    [pg_switchover.work, lambda module: promote(module.params, module.check_mode)],
    ids=["switchover", "promote"],
)
def test_an_unknown_node_is_named(work: Any) -> None:
    given = FakeModule(nodes=NODES, node="c", candidate="c", salvage=None)
    with pytest.raises(RelevoError, match=r"c is not among the nodes. Nothing was changed"):
        work(given)


def test_a_cluster_is_not_made_without_what_asks_the_new_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pg_initdb, "PSYCOPG_IMPORT_ERROR", "Traceback: No module named psycopg")
    monkeypatch.setattr(pg_initdb, "AnsibleModule", lambda **_spec: FakeModule())
    with pytest.raises(FailedError, match="psycopg"):
        pg_initdb.main()
