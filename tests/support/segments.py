"""WAL segments as a server's disk has them, small ones."""

from __future__ import annotations

import struct

from ansible_collections.relevo.postgres.plugins.module_utils._server.lsn import segment_name, segment_start

SIZE = 1024 * 1024


def segment(name: str, *, address: int | None = None, timeline: int | None = None) -> bytes:
    """A WAL segment of 1 MB with the header that PostgreSQL 17 would write."""
    start = segment_start(name, SIZE) if address is None else address
    number = int(name[:8], 16) if timeline is None else timeline
    return struct.pack("=HHIQI4xQII", 0xD116, 0x0002, number, start, 0, 42, SIZE, 8192).ljust(SIZE, b"w")


def named(number: int, timeline: int = 1) -> str:
    return segment_name(timeline, number * SIZE, SIZE)
