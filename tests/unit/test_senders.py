"""Who holds the stop of a server that is to be restarted is ended after a grace, and named."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._server import senders

CONSUMER, READER = 7, 8


class FakeSession:
    def query(self, sql: str) -> list[dict[str, Any]]:
        assert sql == senders.SENDERS
        consumer = {"application_name": "debezium", "pid": CONSUMER, "slot": "feed"}
        return [consumer, {"application_name": "barman", "pid": READER, "slot": None}]


class FakeServer:
    """Stops ``holds`` seconds after it was asked to, or when nobody is left of those who hold it."""

    def __init__(self, holding: set[int], deaf: int = 0, holds: float | None = None) -> None:
        self.holding, self.deaf, self.holds = holding, deaf, holds
        self.now, self.calls = 0.0, [""]

    # The clock.
    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    # The server.
    def terminate(self, pids: Iterable[int]) -> list[int]:
        found = [pid for pid in pids if pid in self.holding]
        if self.deaf:
            self.deaf -= 1
        else:
            self.holding -= set(found)
        return found

    # The service.
    def ask_to_stop(self) -> None:
        self.calls.append("stop")

    def start(self) -> None:
        self.calls.append("start")

    def stopped(self) -> bool:
        return not self.holding if self.holds is None else self.now >= self.holds


def stop(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(senders, "time", server)
    held = senders.sentences(FakeSession())  # type: ignore[arg-type]
    return senders.stop_beside(held, server, server, 60)  # type: ignore[arg-type]


def test_who_confirms_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    server = FakeServer({CONSUMER, READER}, holds=0.9)
    assert stop(server, monkeypatch) == []


@pytest.mark.parametrize("deaf", [0, 2])
def test_who_does_not_is_ended_and_named_once(monkeypatch: pytest.MonkeyPatch, deaf: int) -> None:
    server = FakeServer({CONSUMER, READER}, deaf)
    first, second = stop(server, monkeypatch)
    assert first.startswith("The logical consumer debezium (slot feed) had not confirmed within 1 s")
    assert second == "barman had not confirmed the last WAL; its connection was ended."
    assert 1 < server.now < 2
    assert server.calls[1:] == ["stop"]


def test_a_server_that_does_not_stop_is_not_left_down(monkeypatch: pytest.MonkeyPatch) -> None:
    server = FakeServer({99})
    with pytest.raises(RelevoError, match="did not stop within 60 s, and is started again as soon as it has"):
        stop(server, monkeypatch)
    assert server.calls[1:] == ["stop", "start"]
