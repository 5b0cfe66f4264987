"""What runsv says of a service, as it writes it for ``sv``."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._server.service import Runit

#: A time and a process, which nobody asks for here.
BEFORE = bytes.fromhex("400000006b0afc4f16e81ce4bc040000") + b"\0"


@pytest.mark.parametrize(
    ("wanted", "state", "is_stopped", "is_wanted"),
    [
        ("u", 1, False, True),
        # Asked to stop, and stopping; and its ``finish`` runs.
        ("d", 1, False, False),
        ("d", 2, False, False),
        ("d", 0, True, False),
        # It ended by itself, and runsv waits a second before it starts it again.
        ("u", 0, False, True),
    ],
)
def test_a_service_that_ends_again_and_again_was_not_stopped(
    tmp_path: Path, wanted: str, state: int, is_stopped: bool, is_wanted: bool
) -> None:
    supervise = tmp_path / "postgresql" / "supervise"
    supervise.mkdir(parents=True)
    (supervise / "status").write_bytes(BEFORE + wanted.encode() + b"\0" + bytes([state]))
    (supervise / "stat").write_text("run\n" if state == 1 else "down\n")
    service = Runit("postgresql", tmp_path)
    assert (service.stopped(), service.wanted()) == (is_stopped, is_wanted)
