"""Who else gets an answer of a server that the observer does not reach."""

from __future__ import annotations

import multiprocessing
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils import _names
from ansible_collections.relevo.postgres.plugins.module_utils._server import session
from ansible_collections.relevo.postgres.plugins.module_utils._server.peer import Life, Peer
from ansible_collections.relevo.postgres.plugins.module_utils._server.session import answer_of
from ansible_collections.relevo.postgres.plugins.plugin_utils._witnesses import (
    Ask,
    Witness,
    first,
    seen_from_controller,
)


def says(answer: Life, after: float = 0.0) -> Ask:
    def ask() -> Life:
        time.sleep(after)
        return answer

    return ask


def test_the_first_who_gets_an_answer_is_believed_at_once() -> None:
    started = time.monotonic()
    assert first({"b": says("refused"), "c": says("none", after=2)}) == Witness("b", "refused")
    assert time.monotonic() - started < 1.5


def test_silence_for_all_is_silence() -> None:
    assert first({"b": says("none"), "c": says("none")}) is None
    assert first({}) is None


def test_who_takes_too_long_has_seen_nothing() -> None:
    assert first({"b": says("refused", after=2)}, deadline=0.1) is None


def test_a_bug_does_not_pass_for_silence() -> None:
    def ask() -> Life:
        raise TypeError

    with pytest.raises(TypeError):
        first({"b": ask, "c": says("none")})


@pytest.mark.parametrize(
    ("own", "other", "address"),
    [
        # A container, and a machine whose name in the inventory is its address.
        ({}, {}, "db1.example"),
        ({"ansible_host": "10.0.0.1"}, {"ansible_host": "10.0.0.2"}, "10.0.0.1"),
        ({"ansible_host": "10.0.0.1", "ansible_port": 2222}, {}, "10.0.0.1"),
        # The controller is one of the machines itself.
        ({"ansible_host": "127.0.0.1", "ansible_port": "22"}, {"ansible_host": "10.0.0.2"}, "127.0.0.1"),
        # Ports of the controller, or of a gateway, lead to their sshd. Its PostgreSQL is another server.
        ({"ansible_host": "127.0.0.1", "ansible_port": 2201}, {"ansible_host": "10.0.0.2"}, None),
        ({"ansible_host": "::1", "ansible_port": 2201}, {}, None),
        ({"ansible_host": "localhost", "ansible_port": "2201"}, {}, None),
        (
            {"ansible_host": "gate.example", "ansible_port": 1},
            {"ansible_host": "gate.example", "ansible_port": 2},
            None,
        ),
    ],
)
def test_where_the_controller_looks_for_a_server(own: dict[str, Any], other: dict[str, Any], address: str) -> None:
    found = seen_from_controller(Peer("db1", "db1.example", 5433), own, [other])
    assert found == (Peer("db1", address, 5433) if address else None)


def message(kind: bytes, severity: bytes, sqlstate: bytes, text: bytes) -> bytes:
    """A message of PostgreSQL's protocol, version 3."""
    fields = b"S" + severity + b"\0V" + b"FATAL\0C" + sqlstate + b"\0M" + text + b"\0\0"
    return kind + (len(fields) + 4).to_bytes(4, "big") + fields


def answer_client(client: socket.socket, reply: bytes) -> None:
    """Of the newer protocol, once it is asked; of the older one, that of a server without a process, at once."""
    # The length of a message begins with zeros: it is short.
    if reply[1:2] == b"\0":
        client.recv(8)
        client.sendall(b"N")
        client.recv(1024)
    client.sendall(reply)
    client.close()


def serve(listener: socket.socket, reply: bytes) -> None:
    kept = []
    while True:
        client, _address = listener.accept()
        kept.append(client)
        if reply:
            threading.Thread(target=answer_client, args=(client, reply), daemon=True).start()


@contextmanager
def server(reply: bytes) -> Iterator[Peer]:
    """What listens and, to any client, refuses TLS and says ``reply``; nothing at all when that is empty.

    A process of its own: libpq may be called with Python's lock held.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = multiprocessing.get_context("fork").Process(target=serve, args=(listener, reply), daemon=True)
        process.start()
        try:
            yield Peer("a", "127.0.0.1", listener.getsockname()[1])
        finally:
            process.kill()
            process.join()


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        (message(b"E", b"FATAL", b"53300", b"sorry, too many clients already"), "refused"),
        (message(b"E", b"FATAL", b"28000", b"no pg_hba.conf entry"), "refused"),
        (message(b"E", b"FATAL", b"53200", b"out of memory"), "refused"),
        # What the postmaster says when it gets no process for us (postmaster.c, report_fork_failure_to_client).
        (b"Ecould not fork new process for connection: Cannot allocate memory\n\0", "refused"),
        # Nothing is read from the words: a server speaks its administrator's language.
        (message(b"E", b"FATALE", b"57P03", b"il sistema si sta avviando"), "starting"),
        (b"", "none"),
    ],
)
def test_any_answer_of_the_server_is_a_proof_of_life(reply: bytes, answer: Life) -> None:
    with server(reply) as peer:
        assert answer_of(peer) == answer


def test_a_server_that_gets_no_process_answers_its_own_machine_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen with a server at its limit of processes: nobody got an answer of it, and it was fenced."""
    monkeypatch.setattr(_names, "SOCKET_DIR", tmp_path)
    monkeypatch.setattr(session, "local_port", lambda: 5432)
    assert session.local_answer() == "none"
    for said, answer in ((b"Ecould not fork new process for connection\n\0", "refused"), (b"", "none")):
        path = tmp_path / ".s.PGSQL.5432"
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen()
            process = multiprocessing.get_context("fork").Process(target=serve, args=(listener, said), daemon=True)
            process.start()
            try:
                assert session.local_answer() == answer
            finally:
                process.kill()
                process.join()


def test_a_port_without_a_server_is_none() -> None:
    with server(b"") as peer:
        pass
    assert answer_of(peer) == "none"
    assert answer_of(Peer("a", "no-such-host.invalid")) == "none"
