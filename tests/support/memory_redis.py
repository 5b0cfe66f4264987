"""The commands of Redis that the catalog uses, on a dictionary: for its own code without a server, never for times."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any


class MemoryRedis:
    def __init__(self) -> None:
        self.hashes: dict[str, dict[str, str]] = {}
        self.sets: dict[str, set[str]] = {}
        self.sorted: dict[str, dict[str, float]] = {}

    def pipeline(self, transaction: bool = True) -> Pipeline:
        return Pipeline(self)

    def close(self) -> None:
        """Whoever connects next finds the same."""

    def info(self, section: str) -> dict[str, int]:
        if section == "persistence":
            return {"rdb_bgsave_in_progress": 0, "aof_rewrite_in_progress": 0}
        used = 1000 + sum(len(repr(one)) for one in (self.hashes, self.sets, self.sorted))
        return {"used_memory": used, "used_memory_peak": used + 500}

    # --- all kinds -------------------------------------------------------------------------------------------------

    def flushall(self) -> None:
        for kind in (self.hashes, self.sets, self.sorted):
            kind.clear()

    def exists(self, name: str) -> int:
        return int(any(name in kind for kind in (self.hashes, self.sets, self.sorted)))

    def delete(self, *names: str) -> None:
        for name in names:
            for kind in (self.hashes, self.sets, self.sorted):
                kind.pop(name, None)

    def keys(self, pattern: str) -> list[str]:
        return [name for name in self.hashes if name.startswith(pattern.removesuffix("*"))]

    def scan_iter(self, match: str, count: int) -> Iterator[str]:
        return iter(self.keys(match))

    # --- hashes and sets -------------------------------------------------------------------------------------------

    def hset(self, name: str, mapping: Mapping[str, str]) -> None:
        self.hashes.setdefault(name, {}).update(mapping)

    def hgetall(self, name: str) -> dict[str, str]:
        return dict(self.hashes.get(name, {}))

    def sadd(self, name: str, *values: str) -> None:
        self.sets.setdefault(name, set()).update(values)

    def smembers(self, name: str) -> set[str]:
        return set(self.sets.get(name, set()))

    # --- sorted sets -----------------------------------------------------------------------------------------------

    def zadd(self, name: str, scores: Mapping[str, float]) -> None:
        self.sorted.setdefault(name, {}).update(scores)

    def zrem(self, name: str, *keys: str) -> None:
        for key in keys:
            self.sorted.get(name, {}).pop(key, None)

    def zcard(self, name: str) -> int:
        return len(self.sorted.get(name, {}))

    def zscore(self, name: str, key: str) -> float | None:
        return self.sorted.get(name, {}).get(key)

    def zrange(self, name: str, start: int, end: int) -> list[str]:
        scores = self.sorted.get(name, {})
        ordered = sorted(scores, key=lambda key: (scores[key], key))
        return ordered[start : None if end == -1 else end + 1]

    def zrevrange(self, name: str, start: int, end: int) -> list[str]:
        return self.zrange(name, 0, -1)[::-1][start : None if end == -1 else end + 1]

    def zcount(self, name: str, lowest: Any, highest: Any) -> int:
        return len(self.zrevrangebyscore(name, highest, lowest))

    def zrevrangebyscore(
        self, name: str, highest: Any, lowest: Any, start: int = 0, num: int | None = None
    ) -> list[str]:
        scores = self.sorted.get(name, {})
        most = float(str(highest).removeprefix("("))
        below: Callable[[float], bool] = most.__gt__ if str(highest).startswith("(") else most.__ge__
        found = [key for key in self.zrevrange(name, 0, -1) if below(scores[key]) and scores[key] >= float(lowest)]
        return found[start:] if num is None else found[start : start + num]


class Pipeline:
    """Commands that are done together, at the end."""

    def __init__(self, server: MemoryRedis) -> None:
        self._server = server
        self._queued: list[Callable[[], Any]] = []

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._queued.clear()

    def watch(self, name: str) -> None:
        """Nobody else writes here."""

    def multi(self) -> None:
        """What comes is queued anyway."""

    def __getattr__(self, command: str) -> Callable[..., None]:
        do = getattr(self._server, command)
        return lambda *arguments, **named: self._queued.append(lambda: do(*arguments, **named))

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        answers = [command() for command in self._queued]
        self._queued.clear()
        return answers
