"""A session says the same with libpq as our own binding calls it, and as psycopg does."""

from __future__ import annotations

import ctypes
import importlib.util
import multiprocessing
import os
import re
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg
import psycopg_binary
import pytest
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ansible_collections.relevo.postgres.plugins.module_utils import _names
from ansible_collections.relevo.postgres.plugins.module_utils._server import libpq, session
from ansible_collections.relevo.postgres.plugins.module_utils._server.session import NotConnected, Session, SessionError
from ansible_collections.relevo.postgres.plugins.plugin_utils._node_program import program

PORT = 5432
#: What psycopg brings along.
[BUNDLED] = (Path(psycopg_binary.__path__[0]).parent / "psycopg_binary.libs").glob("libpq-*")


def binding() -> ModuleType:
    """Our binding; with psycopg's copy of the library where this machine has none, as a node always has."""
    if libpq.AVAILABLE:
        return libpq
    spec = importlib.util.spec_from_file_location("libpq_of_psycopg", str(libpq.__file__))
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patched:
        library = ctypes.CDLL(str(BUNDLED))
        patched.setattr(ctypes, "CDLL", lambda _name: library)
        spec.loader.exec_module(module)
    return module


@pytest.fixture(params=["ours", "psycopg"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    used: Any = binding() if request.param == "ours" else pq
    monkeypatch.setattr(session, "pq", used)
    monkeypatch.setattr(session, "Error", used.Error if request.param == "ours" else psycopg.Error)
    return str(request.param)


# --- a server that says what it was told to (protocol 3.0) -----------------------------------------------------------


def message(kind: bytes, text: bytes = b"") -> bytes:
    return kind + struct.pack("!i", len(text) + 4) + text


def words(*texts: bytes) -> bytes:
    return b"".join(text + b"\0" for text in texts)


def remark(kind: bytes, state: bytes, text: bytes) -> bytes:
    return message(kind, words(b"SERROR", b"C" + state, b"M" + text, b""))


def rows(names: Sequence[bytes], *found: Sequence[bytes | None]) -> bytes:
    columns = b"".join(words(name) + struct.pack("!ihihih", 0, 0, 25, -1, -1, 0) for name in names)
    said = message(b"T", struct.pack("!h", len(names)) + columns)
    for row in found:
        cells = (struct.pack("!i", -1) if one is None else struct.pack("!i", len(one)) + one for one in row)
        said += message(b"D", struct.pack("!h", len(row)) + b"".join(cells))
    return said + message(b"C", b"SELECT\0")


READY = message(b"Z", b"I")


def logged_in(version: bytes) -> bytes:
    return message(b"R", struct.pack("!i", 0)) + message(b"S", words(b"server_version", version)) + READY


LOGGED_IN = logged_in(b"16.4")
#: A standby that still recovers, and a server whose connections are all used up.
STARTING = remark(b"E", b"57P03", b"the database system is starting up")
FULL = remark(b"E", b"53300", b"sorry, too many clients already")


def serve(listener: socket.socket, said: list[bytes], received: Connection) -> None:
    client, _address = listener.accept()
    heard = []
    for text in said:
        heard.append(client.recv(65536))
        # Nothing can be sent to who has left, not even nothing.
        if text:
            client.sendall(text)
    # Before the client sees the end, and this process is of no more interest.
    received.send(heard)
    client.close()


def heard_by(received: Connection) -> list[bytes]:
    """What the server got, for each of its answers."""
    assert received.poll(20), "the server has not heard all that it was to answer"
    heard: list[bytes] = received.recv()
    return heard


Served = Callable[..., Any]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Served:
    """The local server, which answers each of what it gets with the next of these, and then is gone."""
    # The path of a socket has at most 107 letters.
    monkeypatch.setattr(_names, "SOCKET_DIR", Path(f"/proc/self/fd/{os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)}"))

    @contextmanager
    def server(*said: bytes) -> Iterator[Connection]:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"{_names.SOCKET_DIR}/.s.PGSQL.{PORT}")
            listener.listen()
            ours, theirs = multiprocessing.Pipe(duplex=False)
            # A process, since psycopg pings without letting other threads of this one work.
            process = multiprocessing.get_context("fork").Process(target=serve, args=(listener, list(said), theirs))
            process.start()
            yield ours
            process.join(10)

    return server


def opened() -> Session:
    return Session.at_socket(PORT, "shop", "here", timeout=10)


# --- sessions --------------------------------------------------------------------------------------------------------


def test_rows_are_texts(served: Served, library: str) -> None:
    found = rows((b"a", b"b", b"c", b"\xc3\xb1"), (b"1", None, b"", b"\xc3\xb1 \x80"), (b"2", b"x" * 50000, None, b"y"))
    with served(LOGGED_IN, found + READY), opened() as one:
        assert one.query("SELECT") == [
            {"a": "1", "b": None, "c": "", "ñ": "ñ \ufffd"},
            {"a": "2", "b": "x" * 50000, "c": None, "ñ": "y"},
        ]


def test_several_statements_and_none(served: Served, library: str) -> None:
    several = rows((b"a",), (b"1",)) + rows((b"b",), (b"2",)) + message(b"C", b"SET\0") + READY
    with served(LOGGED_IN, several, message(b"I") + READY), opened() as one:
        assert one.query("SELECT; SELECT; SET") == [{"a": "1"}, {"b": "2"}]
        assert one.query("") == []


def test_parameters_reach_the_server_as_texts(served: Served, library: str) -> None:
    answer = message(b"1") + message(b"2") + rows((b"a",), (b"t",)) + READY
    with served(LOGGED_IN, answer) as received:
        with opened() as one:
            assert one.flag("SELECT $1", ("o'ñ\\", None, 5, ""))
        [_login, asked] = heard_by(received)
    text = "o'ñ\\".encode()
    values = (
        struct.pack("!i", len(text)) + text + struct.pack("!i", -1) + struct.pack("!i", 1) + b"5" + struct.pack("!i", 0)
    )
    # A portal and a statement without a name; all parameters in the default format, which is text; the answer too.
    assert words(b"", b"") + struct.pack("!hh", 0, 4) + values + struct.pack("!hh", 1, 0) in asked


@pytest.mark.parametrize(("version", "told"), [(b"16.4", False), (b"17.2 (Debian)", True)])
def test_the_version_of_the_server_is_known(served: Served, library: str, version: bytes, told: bool) -> None:
    done = message(b"C", b"SET\0") + READY
    with served(logged_in(version), done, *([done] if told else [])) as received:
        with opened() as one:
            one.query("SET x = 1")
        assert (b"SET transaction_timeout = 0" in heard_by(received)[1]) is told


def test_an_error_has_its_words_and_its_state_and_ends_nothing(served: Served, library: str) -> None:
    failed = remark(b"E", b"22012", b"division by zero") + READY
    with served(LOGGED_IN, failed, rows((b"a",), (b"1",)) + READY), opened() as one:
        with pytest.raises(SessionError) as found:
            one.query("SELECT 1/0")
        assert (found.value.message, found.value.sqlstate) == ("here: division by zero", "22012")
        assert one.value("SELECT 1") == "1"


def test_what_a_server_remarks_is_not_printed(served: Served, library: str, capfd: pytest.CaptureFixture[str]) -> None:
    noted = remark(b"N", b"01000", b"mind the gap")
    login = LOGGED_IN[:9] + noted + LOGGED_IN[9:]
    with served(login, noted + rows((b"a",), (b"1",)) + READY), opened() as one:
        assert one.value("SELECT 1") == "1"
    assert capfd.readouterr() == ("", "")


def test_a_connection_that_is_lost_is_no_traceback(served: Served, library: str) -> None:
    gone = message(b"E", words(b"SFATAL", b"C57P01", b"Mterminating connection due to administrator command", b""))
    with served(LOGGED_IN, gone), opened() as one:
        with pytest.raises(SessionError) as found:
            one.query("SELECT 1")
        assert found.value.message.startswith(
            "here: consuming input failed: terminating connection due to administrator command\nserver closed the"
        )
        with pytest.raises(SessionError, match="here: sending query failed: no connection to the server"):
            one.query("SELECT 1")
        with pytest.raises(SessionError, match="here: sending query and params failed: no connection to the server"):
            one.query("SELECT $1", (1,))


def test_one_that_is_closed_takes_no_question(served: Served, library: str) -> None:
    with served(LOGGED_IN):
        one = opened()
        one.close()
        one.close()
        for parameters in ((), (1,)):
            with pytest.raises(SessionError, match="^here: the connection is closed$"):
                one.send("SELECT 1", parameters)
        assert one.result() == []


def test_a_refused_login_is_told_in_the_words_of_libpq(served: Served, library: str) -> None:
    with served(FULL), pytest.raises(NotConnected, match=r"^here: connection to .* failed: .*sorry, too many clients"):
        opened()
    with pytest.raises(NotConnected, match="^here: connection to server on socket .* failed: Connection refused"):
        opened()


def test_a_server_that_says_nothing_costs_the_time_out(served: Served, library: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{_names.SOCKET_DIR}/.s.PGSQL.{PORT}")
        listener.listen()
        with pytest.raises(SessionError, match=r"^here: no answer in time \(waited for a connection\)$"):
            Session.at_socket(PORT, "shop", "here", timeout=0.1)


def test_one_that_is_left_is_closed_but_not_by_a_child(served: Served, library: str) -> None:
    """A process that was forked would otherwise say good-bye for its parent."""
    with served(LOGGED_IN, rows((b"a",), (b"1",)) + READY, b"") as received:
        one = opened()
        child = os.fork()
        if not child:
            del one
            os._exit(0)
        os.waitpid(child, 0)
        assert one.value("SELECT 1") == "1"
        del one
        assert heard_by(received)[2] == message(b"X")


@pytest.mark.parametrize(
    ("said", "life"), [([STARTING], "starting"), ([FULL], "refused"), ([LOGGED_IN], "refused"), ([b""], "none")]
)
def test_any_answer_is_a_sign_of_life(served: Served, library: str, said: list[bytes], life: str) -> None:
    conninfo = session.conninfo_of(host=str(_names.SOCKET_DIR), port=PORT, connect_timeout=2, user="x", dbname="x")
    with served(*said):
        assert session._ping(conninfo) == life
    assert session._ping(conninfo) == "none"


# --- what stands for psycopg's ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ours", [libpq.ConnStatus, libpq.PollingStatus, libpq.ExecStatus, libpq.Ping, libpq.DiagnosticField]
)
def test_each_number_is_that_of_libpq(ours: type[IntEnum]) -> None:
    theirs = getattr(pq, ours.__name__)
    assert {name: int(value) for name, value in ours.__members__.items()} == {
        name: int(theirs[name]) for name in ours.__members__
    }


@pytest.mark.parametrize("value", ["", "a", "a b", "o'b", "back\\slash", "tab\t'\\ ", "ñ", "host=x", "-c a=b -c c='d'"])
def test_a_connection_string_is_that_of_psycopg(value: str) -> None:
    ours = session.conninfo_of(dbname=value, port=PORT)
    assert ours == make_conninfo(dbname=value, port=PORT)
    assert conninfo_to_dict(ours) == {"dbname": value, "port": str(PORT)}


#: How a controller is that has psycopg's libpq only, and one that has not even that.
WITHOUT = """
import ctypes, sys
def missing(name):
    raise OSError(name)
ctypes.CDLL = missing
sys.modules.update(dict.fromkeys({hidden!r}))
from ansible_collections.relevo.postgres.plugins.module_utils._server import session
print(session.pq.__name__, session.Error.__module__, "psycopg" in str(session.PSYCOPG_IMPORT_ERROR))
"""


@pytest.mark.parametrize(("hidden", "found"), [([], "psycopg.pq psycopg False"), (["psycopg"], "{ours} {ours} True")])
def test_without_libpq_psycopg_is_used(hidden: list[str], found: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(hidden=hidden)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2] / "collections")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == found.format(ours=libpq.__name__)


@pytest.mark.parametrize("entry", ["_cluster.ask", "_handover.promote", "_server.liveness", "_start_guard"])
def test_what_an_emergency_waits_for_loads_no_psycopg(entry: str) -> None:
    """It takes ten times as long as all the rest of such a program, and two of them stand before the first write."""
    text = re.sub(
        r"^ +answer = program.answer.*$", "    answer = [*sys.modules]", program(entry, {}), flags=re.MULTILINE
    )
    library = f"import ctypes\nfound = ctypes.CDLL({str(BUNDLED)!r})\nctypes.CDLL = lambda name: found\n"
    done = subprocess.run([sys.executable, "-"], input=library + text, capture_output=True, text=True, check=True)
    loaded = set(re.findall(r"[\w.]+", done.stdout))
    assert "ctypes" in loaded
    assert not {"psycopg", "asyncio"} & loaded
