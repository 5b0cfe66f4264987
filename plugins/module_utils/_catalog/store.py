# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Talking to Redis: the connection, the sentence for each foreseeable failure, and the catalog's commands."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from .._errors import RelevoError
from .._names import FIRST_REPOSITORY, PUBLIC_WORD, SECOND_REPOSITORY, with_port
from .facets import facet_index, facets_for, queue_facets
from .filters import Facet
from .records import (
    FOREIGN_INDEX,
    KEY_PREFIX,
    Plan,
    Record,
    catalog_name,
    classify,
    in_order,
    index_for,
    key_for,
    newest_first,
    parse_key,
    plan_sync,
    record_label,
    score_for,
    status_of,
)

T = TypeVar("T")

IMPORT_ERROR: str | None = None
try:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry
except ImportError:
    IMPORT_ERROR = traceback.format_exc()

LACKING = "This node lacks the Python package redis. Run site.yml, which installs it."

# Reads are sent in portions, so that a reply never grows with the catalog.
PORTION = 500
# How often a synchronisation starts anew when another one wrote between its reading and its writing.
ATTEMPTS = 5


class RedisError(RelevoError):
    """Redis cannot be used. ``kind`` tells whether that passes by itself.

    ``unavailable``: away, hanging, loading, full or read-only. ``refused``: a mistake in what we were
    told (password, rights, not a Redis), which no later run heals. ``public``: it still has the word that a version
    before 0.1.0 set in place of a password, which ``site.yml`` replaces.
    """

    def __init__(self, message: str, kind: str, **details: Any) -> None:
        super().__init__(message, **details)
        self.kind = kind


def _client(params: Mapping[str, Any]) -> Any:
    """A client that connects at its first command."""
    timeout = float(params["timeout"])
    tls: dict[str, Any] = {"ssl": True, "ssl_ca_certs": params.get("ca_certs")} if params.get("tls") else {}
    return redis.Redis(
        host=params["host"],
        port=params["port"],
        username=params.get("username") or None,
        password=params.get("password") or None,
        db=params["db"],
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        decode_responses=True,
        # A value that is no UTF-8 belongs to somebody else: it must not end the listing.
        encoding_errors="backslashreplace",
        # The library's own retries would make a hanging server cost four timeouts and their pauses.
        retry=Retry(NoBackoff(), 0),
        **tls,
    )


def _has_public_word(params: Mapping[str, Any]) -> bool:
    client = _client({**params, "password": PUBLIC_WORD})
    try:
        return bool(client.ping())
    except redis.RedisError:
        # Whatever else is wrong, it is not that.
        return False
    finally:
        client.close()


@contextmanager
def connected(params: Mapping[str, Any]) -> Iterator[Any]:
    """Lend a client that connects at its first command; what redis-py raises becomes a ``RedisError``."""
    where = f"Redis at {with_port(params['host'], params['port'])}"
    if not params["host"]:
        raise RedisError(
            "No Redis is named. Set catalog_redis_host, or put a node into the inventory's group redis.", "refused"
        )
    client = _client(params)
    try:
        # No PING first: a Redis that cannot save refuses it, but would still let us read.
        yield client
    except redis.RedisError as error:
        raise explain(error, where, params) from error
    finally:
        client.close()


def explain(error: Exception, where: str, params: Mapping[str, Any]) -> RedisError:
    """Return the failure with a sentence that says what is wrong and what to do."""
    text = str(error)
    detail = {"redis_error": text}

    def away(message: str) -> RedisError:
        return RedisError(message, "unavailable", **detail)

    def refused(message: str) -> RedisError:
        return RedisError(message, "refused", **detail)

    # The redis-py of Debian 12 has no class of its own for a wrong password.
    if isinstance(error, redis.exceptions.AuthenticationError) or text.startswith("WRONGPASS"):
        if "without any password configured" in text:
            return refused(
                f"{where} has no password, but one was given. Set one there, or give none (catalog_redis_password)."
            )
        if not params.get("password"):
            return refused(f"{where} wants a password and none was given. Set catalog_redis_password.")
        if _has_public_word(params):
            return RedisError(
                f"{where} has a public word in place of the password that was given. "
                "Run site.yml -e secrets_replace_public=true.",
                "public",
                **detail,
            )
        user = f" of user {params['username']}" if params.get("username") else ""
        return refused(f"{where} refused the password{user}. Correct catalog_redis_password.")
    if isinstance(error, redis.exceptions.NoPermissionError):
        return refused(f"{where} does not let its user do this: {text.rstrip('.')}. Extend that user's ACL.")
    if isinstance(error, redis.exceptions.BusyLoadingError):
        return away(f"{where} is still loading its data. Run this again when it is done.")
    if isinstance(error, redis.exceptions.ReadOnlyError):
        return away(f"{where} is a read-only replica. Name its master in catalog_redis_host.")
    if "OOM " in text or type(error).__name__ == "OutOfMemoryError":
        return away(f"{where} has reached its maxmemory and takes no more records. Raise it or free memory.")
    if "MISCONF " in text:
        return away(f"{where} takes no writes because it cannot save to its disk. Free its disk or repair its folder.")
    if isinstance(error, redis.exceptions.TimeoutError):
        return away(f"{where} did not answer within {params['timeout']:g} s. See whether it hangs or is cut off.")
    if isinstance(error, redis.exceptions.InvalidResponse):
        address = with_port(params["host"], params["port"])
        return refused(f"What answers at {address} is not a Redis. Correct catalog_redis_port.")
    if isinstance(error, redis.exceptions.ConnectionError):
        return _explain_connection(text, where, params, away, refused)
    if text.startswith(("MOVED ", "CROSSSLOT")):
        return refused(f"{where} is a Redis Cluster, which the catalog does not support. Name a single Redis.")
    if "DB index" in text:
        return refused(f"{where} has no database {params['db']}. Correct catalog_redis_db.")
    return refused(f"{where} refused a command: {text.rstrip('.')}.")


def _explain_connection(
    text: str,
    where: str,
    params: Mapping[str, Any],
    away: Callable[[str], RedisError],
    refused: Callable[[str], RedisError],
) -> RedisError:
    said = text.rstrip(".")
    if "SSL" in text or "certificate" in text.lower():
        return refused(f"{where} could not be reached over TLS: {said}. Correct catalog_redis_tls or its CA.")
    if "closed by server" in text or "reset by peer" in text.lower():
        hint = "" if params.get("tls") else ", or wants TLS (catalog_redis_tls)"
        return away(f"{where} closed the connection: it is shutting down, is not a Redis{hint}.")
    return away(f"{where} cannot be reached ({said}). Start it, or correct catalog_redis_host and its port.")


def patiently(ask: Callable[[], T], seconds: float, interval: float = 0.5) -> T:
    """Return what ``ask`` returns; while that fails with what may pass by itself, ask again for so many seconds.

    Raises RedisError: the last one, or the first that waiting cannot fix, such as a refused password.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            return ask()
        except RedisError as error:
            if error.kind != "unavailable" or time.monotonic() >= deadline:
                raise
        time.sleep(interval)


def portions(keys: Iterable[str]) -> Iterator[list[str]]:
    """Cut keys into lists of at most ``PORTION``."""
    listed = list(keys)
    for start in range(0, len(listed), PORTION):
        yield listed[start : start + PORTION]


def read_records(client: Any, keys: Iterable[str]) -> dict[str, Record | None]:
    """Return the hashes at ``keys``; None for a key of another type; a key that is not there is left out."""
    found: dict[str, Record | None] = {}
    for portion in portions(keys):
        pipe = client.pipeline(transaction=False)
        for key in portion:
            pipe.hgetall(key)
        for key, value in zip(portion, pipe.execute(raise_on_error=False), strict=True):
            if isinstance(value, redis.ResponseError) and str(value).startswith("WRONGTYPE"):
                found[key] = None
            elif isinstance(value, Exception):
                raise value
            elif value:
                found[key] = in_order(value)
    return found


def scan_keys(client: Any) -> list[str]:
    """Return every key under ``backup:``; walks the whole keyspace in steps, so only where no index exists."""
    return sorted(set(client.scan_iter(match=f"{KEY_PREFIX}*", count=1000)))


@dataclass
class Known:
    """The keys of a catalog: a stanza's own, the foreign ones, and which of them the indexes held already."""

    mine: list[str]
    foreign: list[str]
    indexed: set[str] = field(default_factory=set)
    foreign_indexed: set[str] = field(default_factory=set)


def known_keys(client: Any, stanza: str, search: bool = False) -> Known:
    """Return the catalog's keys: from the indexes, and by a search where there is none or ``search`` asks for it."""
    indexed = list(client.zrevrange(index_for(stanza), 0, -1))
    foreign = list(client.zrange(FOREIGN_INDEX, 0, -1))
    known = Known(indexed, foreign, set(indexed), set(foreign))
    if indexed and not search:
        return known
    managed: dict[str, bool] = {stanza: True}
    for key in scan_keys(client):
        parsed = parse_key(key)
        if parsed is not None and parsed.stanza not in managed:
            managed[parsed.stanza] = bool(client.exists(index_for(parsed.stanza)))
        if parsed is None or not managed[parsed.stanza]:
            known.foreign.append(key)
        elif parsed.stanza == stanza:
            known.mine.append(key)
    known.mine = newest_first(set(known.mine))
    known.foreign = sorted(set(known.foreign) - set(known.mine))
    return known


def usable(params: Mapping[str, Any], stanza: str) -> dict[str, Any]:
    """Whether the catalog of a stanza can be read: ``reachable``, and otherwise ``reason`` and ``kind``.

    ``params``: as for ``connected``. It is an answer also where Redis is away, or its library is.
    """
    if IMPORT_ERROR:
        return {"reachable": False, "reason": LACKING, "kind": "refused"}
    try:
        with connected(params) as client:
            known = known_keys(client, stanza)
            read_records(client, [*known.mine[:1], *known.foreign])
    except RedisError as error:
        return {"reachable": False, "reason": error.message, "kind": error.kind}
    return {"reachable": True, "reason": "", "kind": ""}


def synchronise(
    client: Any,
    stanza: str,
    desired: Mapping[str, Record],
    write: bool,
    search: bool = False,
    prune: bool = True,
) -> tuple[Plan, dict[str, Record | None]]:
    """Make the stanza's records equal to ``desired``; return the plan and the records as they were.

    Without ``prune``, ``desired`` is not all that the repository holds: no other record is judged by it.
    All of it is one MULTI/EXEC, begun anew when another run wrote to the index since it was read.
    """
    index = index_for(stanza)
    for _attempt in range(ATTEMPTS):
        with client.pipeline(transaction=True) as pipe:
            pipe.watch(index)
            known = known_keys(client, stanza, search)
            facets = set(client.smembers(facets_for(stanza)))
            existing = read_records(client, {*known.mine, *known.foreign, *desired})
            plan = plan_sync(desired, existing, stanza)
            if not prune:
                plan.unchanged += [*plan.delete, *plan.orphans]
                plan.delete, plan.orphans = [], []
            if not write:
                return plan, existing
            pipe.multi()
            _queue(pipe, index, plan, known)
            kept = _kept(plan, existing)
            # Somebody removed records, or wrote them: only then is it not known which index they were in.
            complete = bool(facets) and not search and set(known.mine) <= set(existing)
            queue_facets(pipe, stanza, complete, kept, [*plan.delete, *plan.write], existing, facets)
            try:
                pipe.execute()
            except redis.WatchError:
                continue
            return plan, existing
    raise RedisError(
        f"Other runs kept writing the catalog of stanza {stanza}. Run this again when they are done.", "unavailable"
    )


def _kept(plan: Plan, existing: Mapping[str, Record | None]) -> dict[str, Record]:
    """The stanza's records as they are afterwards."""
    stay = {key: existing.get(key) for key in (*plan.unchanged, *plan.orphans, *plan.adoptable)}
    return {key: record for key, record in stay.items() if record} | plan.write


def _queue(pipe: Any, index: str, plan: Plan, known: Known) -> None:
    for key in plan.delete:
        pipe.delete(key)
    for key, record in plan.write.items():
        # Deleted first: a field that the repository no longer knows must not survive.
        pipe.delete(key)
        pipe.hset(key, mapping=record)
    kept = {*plan.write, *plan.unchanged, *plan.orphans, *plan.adoptable}
    foreign = set(plan.foreign)
    for name, now, before in ((index, kept, known.indexed), (FOREIGN_INDEX, foreign, known.foreign_indexed)):
        added = {key: score_for(key) for key in sorted(now - before)}
        if added:
            pipe.zadd(name, added)
        gone = sorted(before - now)
        if gone:
            pipe.zrem(name, *gone)


def remove_records(client: Any, stanza: str, keys: Iterable[str], write: bool) -> tuple[Plan, dict[str, Any]]:
    """Remove the records at ``keys``; fail before any is removed when one of them is not ours to remove."""
    wanted = list(dict.fromkeys(keys))
    existing = read_records(client, wanted)
    foreign = [key for key, record in existing.items() if classify(key, record, stanza) == "foreign"]
    if foreign:
        raise RelevoError(
            f"{', '.join(foreign)}: not written by pgBackRest backups of stanza {stanza}, so left alone. "
            "Name only keys of this catalog.",
            foreign=foreign,
        )
    plan = Plan(delete=list(existing))
    if write and wanted:
        with client.pipeline(transaction=True) as pipe:
            if plan.delete:
                pipe.delete(*plan.delete)
            pipe.zrem(index_for(stanza), *wanted)
            for key, record in existing.items():
                pipe.zrem(facet_index(stanza, Facet.of(record or {})), key)
            pipe.execute()
    return plan, existing


def forget(client: Any, stanza: str) -> list[str]:
    """Remove all that the catalog holds of a stanza: its records, and their indexes. Returns the keys that there were.

    What others wrote under keys that look like records is left alone. Of a second repository, too.
    """
    return [
        key for number in (FIRST_REPOSITORY, SECOND_REPOSITORY) for key in _forget(client, catalog_name(stanza, number))
    ]


def forget_left(client: Any, stanza: str, write: bool) -> list[str]:
    """Remove what the catalog holds of a second repository that there is no more; the keys of its records.

    ``write`` False: only say which. Where there never was one this costs one question.
    """
    name = catalog_name(stanza, SECOND_REPOSITORY)
    if not client.exists(index_for(name)):
        return []
    keys = list(client.zrevrange(index_for(name), 0, -1))
    if write:
        _forget(client, name)
    return keys


def _forget(client: Any, stanza: str) -> list[str]:
    found = read_records(client, known_keys(client, stanza, search=True).mine)
    mine = [key for key, record in found.items() if classify(key, record, stanza) != "foreign"]
    facets = [facet_index(stanza, Facet.from_text(text)) for text in client.smembers(facets_for(stanza))]
    keys = [*mine, *facets, facets_for(stanza), index_for(stanza)]
    there = [key for key in keys if client.exists(key)]
    if there:
        client.delete(*there)
    return there


def drift(client: Any, stanza: str, labels: set[str]) -> tuple[list[str], list[str]]:
    """Where the catalog and the repository, which holds ``labels``, differ.

    Keys of records whose backup is gone, the newest first, and the keys that backups without a record would get. Walks
    over the keyspace: the former scripts wrote without an index.
    """
    found = read_records(client, known_keys(client, stanza, search=True).mine)
    orphans = [key for key in newest_first(found) if status_of(key, found[key], stanza, labels) == "orphan"]
    recorded = {record_label(record) for record in found.values() if record}
    return orphans, newest_first(key_for(label, stanza) for label in labels - recorded)
