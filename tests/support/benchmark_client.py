"""What tests of the benchmark give its client: rows that it was told of, and a server that says what a test wants."""

from __future__ import annotations

import socket

from bench.figures import Acknowledged

#: What a server says when it waits for the next question (PostgreSQL's protocol 3.0).
READY = b"Z\0\0\0\x05I"


def acknowledged(*rows: tuple[float, int]) -> list[Acknowledged]:
    """Inserts numbered from 1; each given as (when, server)."""
    return [Acknowledged(number, at, server) for number, (at, server) in enumerate(rows, start=1)]


def answer(listener: socket.socket, answers: list[bytes]) -> None:
    connection, _address = listener.accept()
    for said in answers:
        connection.recv(4096)
        connection.sendall(said)
    connection.close()
