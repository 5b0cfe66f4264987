"""The benchmark of the control API: what counts as an answer, as a wrong one, and what its table says."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import many_clients
import pytest

from bench import report_api
from bench.targets import api_targets

NO_BODY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("received", "status"),
    [
        (NO_BODY, 503),
        (NO_BODY[:-1], None),
        (b"", None),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx: y\r\n\r\no", None),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx: y\r\n\r\nok", 200),
        (b"HTTP/1.1 204 No Content\r\nx: y\r\n\r\n", 204),
    ],
)
def test_an_answer_is_one_when_it_is_whole(received: bytes, status: int | None) -> None:
    assert many_clients.whole(received) == status


@pytest.mark.parametrize("received", [b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n"])
def test_what_is_no_answer_is_an_error(received: bytes) -> None:
    with pytest.raises(ValueError, match="no answer|invalid literal"):
        many_clients.whole(received)


@pytest.fixture
def server() -> Iterator[tuple[int, Counter[str]]]:
    """Answers 200 to /a and closes at once on /b; its port, and how often each was asked for."""
    asked: Counter[str] = Counter()
    loop = asyncio.new_event_loop()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                path = head.split()[1].decode()
                asked[path] += 1
                if path == "/b":
                    return
                writer.write(NO_BODY.replace(b"503", b"200"))
        except asyncio.IncompleteReadError:
            # The client has gone.
            return
        finally:
            writer.close()

    listening = loop.run_until_complete(asyncio.start_server(answer, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield listening.sockets[0].getsockname()[1], asked
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


def test_each_client_asks_and_each_answer_is_counted(server: tuple[int, Counter[str]]) -> None:
    port, asked = server
    heard = many_clients.ask(port, ["/a"], clients=20, seconds=0.2)
    assert heard.answers == {("/a", 200): asked["/a"]}
    assert len(heard.seconds) == asked["/a"] >= 20
    assert all(0 < seconds < 5 for seconds in heard.seconds)
    assert not heard.errors


def test_a_connection_that_is_closed_is_no_answer(server: tuple[int, Counter[str]]) -> None:
    port, asked = server
    heard = many_clients.ask(port, ["/b"], clients=2, seconds=0.1)
    assert not heard.answers
    assert sum(heard.errors.values()) == asked["/b"] > 0


def row(pace: str = "each second", what: str = "two primaries", **figures: Any) -> dict[str, Any]:
    fixed = {"clients": 200, "answers": 10, "per_second": 197.5, "wrong": 0, "errors": {}}
    return {"what": what, "pace": pace, **fixed, "median": 0.001, "p95": 0.0125, "most": 0.03, **figures}


def hand_over(operation: str, way: str, seconds: float) -> dict[str, Any]:
    return {"operation": operation, "way": way, "round": 1, "seconds": seconds}


def test_the_slowest_case_of_a_pace_is_judged_and_every_wrong_answer_counts() -> None:
    rows = [
        row(what="floor", p95=9.0, wrong=7),
        row(p95=0.01),
        row(p95=0.0501, wrong=2, errors={"TimeoutError: x": 3}),
        row("without a pause", p95=0.2),
    ]
    targets = api_targets({"health": rows, "hand_overs": []}, quiet_machine=True)
    assert [(one.text, one.figure, one.verdict) for one in targets] == [
        ("health, 200 clients that ask each second: p95 (only where the machine is quiet)", 0.0501, "missed"),
        ("answers about health that were wrong, or did not come", 5.0, "missed"),
    ]


def test_on_a_busy_machine_seconds_are_not_judged() -> None:
    assert api_targets({"health": [row(p95=9.0)]}, quiet_machine=False)[0].verdict == "not asked"


def test_what_was_not_answered_at_all_meets_no_target() -> None:
    nothing = row(answers=0, median=None, p95=None, most=None, errors={"ConnectionRefusedError: x": 9})
    assert [one.verdict for one in api_targets({"health": [nothing]}, quiet_machine=True)] == ["not measured", "missed"]


def test_its_section() -> None:
    rows = [row(what="floor"), row(errors={"TimeoutError: no answer within 30 s": 1}, wrong=2)]
    ways = [("playbook", 7.0), ("playbook", 8.0), ("api", 9.5), ("api", 9.0)]
    hand_overs = [hand_over("failover", way, seconds) for way, seconds in ways]
    text = "\n".join(report_api.section({"health": rows, "hand_overs": hand_overs}))
    assert "| two primaries | each second | 1.0 | 12.5 | 30.0 | 197.5 | 2 | 1 |" in text
    assert "- two primaries, each second: TimeoutError: no answer within 30 s" in text
    assert "| `POST /failover` | 9.0 | 9.2 | 9.5 | 9.5 | 2 |" in text
    assert "| `ansible-playbook playbooks/failback.yml` | - | - | - | - | 0 |" in text
    assert "The API adds 1.8 s to a failover (medians)." in text


def test_it_can_be_asked_beside_a_loop_that_runs(server: tuple[int, Counter[str]]) -> None:
    """As that of Playwright's browser does in the tests of the API."""
    port, _asked = server

    async def beside() -> many_clients.Heard:
        return many_clients.ask(port, ["/a"], clients=2, seconds=0.1)

    assert not asyncio.run(beside()).errors
