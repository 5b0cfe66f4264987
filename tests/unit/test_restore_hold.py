"""What outlives a server that was stopped for a restore in place."""

from __future__ import annotations

import signal
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._server import service
from ansible_collections.relevo.postgres.plugins.modules import pg_restore_hold


def test_a_restore_command_that_outlives_its_server_is_waited_for() -> None:
    seen = [[307], [307], []]
    pg_restore_hold.require_nobody_left(cast("Any", SimpleNamespace(processes=lambda: seen.pop(0))), "a")
    assert seen == []


def test_what_does_not_end_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pg_restore_hold, "OUTLIVE", 0.1)
    said = r"processes of it are left after 0.1 s: 307, 308. Its data were not touched. End them, then run this again."
    with pytest.raises(RelevoError, match=said):
        pg_restore_hold.require_nobody_left(cast("Any", SimpleNamespace(processes=lambda: [307, 308])), "a")


class Stopping:
    """A server and its service: its last checkpoint is done at the second look, its archiver goes on unless it ends."""

    def __init__(self, archiver_ends: bool, checkpoint: bool = True) -> None:
        self.archiver_ends = archiver_ends
        self.checkpoint = checkpoint
        self.looks = 0
        self.said: list[str] = []
        self.lives = True

    def postmaster_pid(self) -> int | None:
        if self.archiver_ends and self.looks > 1:
            self.lives = False
        return 7 if self.lives else None

    def quick_state(self) -> tuple[int, int]:
        self.looks += 1
        return (1 if self.checkpoint and self.looks > 1 else 3), 0

    def signal_postmaster(self, number: signal.Signals) -> None:
        self.said.append(number.name)
        self.lives = self.lives and number != signal.SIGQUIT

    def ask_to_stop(self) -> None:
        self.said.append("down")

    def stop(self, _timeout: float) -> None:
        assert not self.lives
        self.said.append("stop")


@pytest.mark.parametrize(
    ("archiver_ends", "said"), [(True, ["down", "SIGINT", "stop"]), (False, ["down", "SIGINT", "SIGQUIT", "stop"])]
)
def test_an_archiver_that_tries_in_vain_keeps_no_server_from_its_end(archiver_ends: bool, said: list[str]) -> None:
    """With a repository of two that is away each of its attempts takes half a minute, for each segment anew."""
    both = Stopping(archiver_ends)
    assert service.stop_for_good(cast("Any", both), cast("Any", both), 5, archiver=0.3)
    assert both.said == said


def test_a_server_is_not_ended_before_its_last_wal_is_written() -> None:
    both = Stopping(archiver_ends=False, checkpoint=False)
    with pytest.raises(RelevoError, match="the last checkpoint of the server of this node"):
        service.stop_for_good(cast("Any", both), cast("Any", both), 0.3, archiver=0.3)
    assert "SIGQUIT" not in both.said
