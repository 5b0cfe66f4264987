# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restart that takes new settings into use, and takes them back when the server does not come up with them.

What a restart changes are the settings that wait for it, so what was in force before it is known from the server. That
is written in place of what it did not start with, whoever wrote that: site.yml, or ``ALTER SYSTEM``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import _names
from .._durable import write_file
from .._errors import RelevoError
from .._wait import wait_until
from . import recovery, senders, server_log, standby_minimum
from .configuration_trial import try_start
from .server import Server
from .service import Service
from .session import Session
from .settings_file import with_values

#: By name, what is in force now; null where nobody has set it.
IN_FORCE = """
SELECT coalesce(json_object_agg(name, CASE WHEN source <> 'default' THEN current_setting(name) END), '{}'::json)
FROM pg_settings WHERE pending_restart
"""
PENDING = "SELECT coalesce(json_agg(name ORDER BY name), '[]'::json) FROM pg_settings WHERE pending_restart"
#: What keeps it from reading any of its files. Whatever site.yml writes was judged before, ALTER SYSTEM's was not.
REFUSED = """
SELECT string_agg(concat_ws(' ', sourcefile || ', line ' || sourceline || ':', name, error), '; ' ORDER BY seqno)
FROM pg_file_settings WHERE error IS NOT NULL AND error <> 'setting could not be applied'
"""
#: A standby replays its primary's new values as soon as that is up. One that is delayed keeps the greater ones.
REPLAYED_S = 10.0
#: How often a server may end while it starts before it is said not to come up; the service manager tries it again.
ATTEMPTS = 3
#: How often one of which no process is seen is looked into. The start guard of a primary asks others before.
PATIENCE_S = 4.0
POLL_S = 0.03

Values = Mapping[str, "str | None"]


def pending_restart() -> list[str]:
    """The settings that wait for a restart."""
    with Session.local() as session:
        names: list[str] = json.loads(session.value(PENDING))
    return names


def reload(server: Server) -> None:
    """Let it read its files. The postmaster does so a moment after the signal."""
    with Session.local() as session:
        before = session.value("SELECT pg_conf_load_time()")
        server.reload()

        def loaded() -> bool:
            return bool(session.value("SELECT pg_conf_load_time()") != before)

        try:
            wait_until(loaded, "the server to read its configuration again", timeout=10)
        except RelevoError as error:
            refused = session.value(REFUSED)
            if not refused:
                raise
            raise RelevoError(f"The server does not take its configuration: {refused}.") from error


def in_force() -> dict[str, str | None]:
    """The values in force of the settings that wait for a restart."""
    with Session.local() as session:
        values: dict[str, str | None] = json.loads(session.value(IN_FORCE))
    return values


def withdraw(server: Server, values: Values) -> None:
    """Write these values in place of those that wait; in our own file and where ``ALTER SYSTEM`` writes."""
    _rewrite(_names.CONFIG_FILE, values, 0o640, missing=True)
    _rewrite(server.pgdata / "postgresql.auto.conf", values, 0o600, missing=False)


def _rewrite(path: Path, values: Values, mode: int, missing: bool) -> None:
    text = path.read_text() if path.exists() else ""
    wanted = with_values(text, values, missing)
    if wanted.splitlines() != text.splitlines():
        write_file(path, wanted, mode)


def start(server: Server, service: Service, timeout: float) -> None:
    """Start one that is down; raises ``RelevoError`` with its own words when it does not come up."""
    since = server_log.sizes()
    service.start()
    if not comes_up(server, timeout):
        raise RelevoError(f"The server does not come up: {words(server, since)}. Correct that, then run this again.")


def _stop(server: Server, service: Service, timeout: float) -> list[str]:
    with Session.local() as session:
        held = senders.sentences(session)
    return senders.stop_beside(held, server, service, timeout)


def restart(server: Server, service: Service, timeout: float) -> list[str]:
    """Restart it with what waits for that, or as it was; raises ``RelevoError`` in the second case.

    Returns a sentence on each who held the stop, and whose connection was ended.
    """
    before = in_force()
    said = _stop(server, service, timeout)
    since = server_log.sizes()
    service.start()
    if comes_up(server, timeout):
        return said
    guard = guard_says()
    if guard:
        raise RelevoError(f"The server was stopped to be restarted, and is not up: {guard}. See status.yml.")
    reason = words(server, since)
    # The service manager tries again by itself.
    withdraw(server, before)
    if not comes_up(server, timeout):
        raise RelevoError(
            f"The server did not come up ({reason}), nor with the settings that it had before: "
            f"{words(server, since)}. Its service's log has its first words (docker logs, journalctl)."
        )
    raise RelevoError(refusal(before, reason))


def refusal(before: Sequence[str] | Values, reason: str) -> str:
    """The sentence for a server that runs again with what it had before."""
    names = ", ".join(sorted(before))
    which = f"with the new {names}" if names else "after a restart"
    return (
        f"The server did not come up {which}: {reason}. It runs again with what it had before. "
        "Correct postgresql_parameters, then run this again."
    )


def words(server: Server, since: Mapping[Path, int]) -> str:
    """Why it does not start, in its own words as far as they can be had: much of it is said before it has a log."""
    guard = guard_says()
    if guard:
        return guard
    faults = try_start(server)
    return (
        "; ".join(fault.sentence for fault in faults)
        or server_log.last_complaint(since=since)
        or "it gave no reason in its log; see that of its service (docker logs, journalctl)"
    )


def guard_says() -> str:
    """Why the start guard keeps the server down; empty when it does not."""
    path = _names.GUARD_STATUS
    said: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    return f"its start guard says that {said['reason']}" if said.get("verdict") in ("refuse", "wait") else ""


def comes_up(server: Server, timeout: float) -> bool:
    """Wait until it answers; false when it ends each time that it is started.

    Raises ``RelevoError`` when it is still starting after ``timeout`` seconds: that is no reason to change anything.
    """
    started = time.monotonic()
    seen: set[int] = set()
    look_at = PATIENCE_S
    while True:
        pid = server.postmaster_pid()
        if pid:
            seen.add(pid)
            if server.answers():
                return True
        waited = time.monotonic() - started
        if len(seen) > ATTEMPTS:
            return False
        if not pid and waited > look_at:
            look_at = waited + PATIENCE_S
            if try_start(server):
                return False
        if waited > timeout:
            if pid and len(seen) == 1:
                raise RelevoError(
                    f"The server of this node is still starting after {timeout:g} s. "
                    f"{recovery.how_far(server) or 'Its log says how far it is.'} "
                    "Run this again when it answers (status.yml)."
                )
            return False
        time.sleep(POLL_S)


def take_back(server: Server, check_mode: bool) -> dict[str, Any]:
    """What waits for a restart is in the files no longer, so that the next start cannot fail for it."""
    values = in_force()
    if values and not check_mode:
        # A server's own default must be written, too: for a setting that has gone from the file it goes on waiting.
        with Session.local() as session:
            said = {name: str(session.value("SELECT current_setting($1)", (name,))) for name in values}
        withdraw(server, said)
        reload(server)
    return {"changed": bool(values), "pending_restart": pending_restart()}


def settle(server: Server, service: Service, timeout: float, check_mode: bool) -> dict[str, Any]:
    """Let a standby have the lower values that its primary has by now."""
    if not standby_minimum.in_place():
        return {"changed": False, "pending_restart": pending_restart(), "kept": []}
    deadline = time.monotonic() + min(timeout, REPLAYED_S)
    while standby_minimum.needed(server) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    changed = standby_minimum.bring(server, check_mode)
    said: list[str] = []
    if changed and not check_mode:
        reload(server)
        if pending_restart():
            said = restart(server, service, timeout)
    result = {"changed": changed, "pending_restart": pending_restart(), "kept": sorted(standby_minimum.needed(server))}
    return result | {"warnings": said}
