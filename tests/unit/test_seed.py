# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The logic of seeding that needs no server."""

from __future__ import annotations

import codecs
import gzip
import hashlib
import io
import json
import os
import pwd
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from ansible_collections.relevo.postgres.plugins.module_utils import _seed
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError

ROOT = Path(__file__).resolve().parents[2]
SEED = _seed.Seed("dump.sql", "imdb")
SQL = b"CREATE TABLE a (x integer);\n"
TARGET = _seed.PsqlTarget("/bin", "/run", 5432, "postgres", "postgres")


class Sink(io.BytesIO):
    """A pipe's end that remembers what was written after it is closed."""

    written = b""

    def close(self) -> None:
        self.written = self.getvalue()
        super().close()


def test_name_defaults_to_the_last_part_of_the_path() -> None:
    seeds = _seed.seeds_from(
        [{"path": "/srv/dump.sql.gz", "database": "imdb", "name": None, "owner": "", "sha256": None}]
    )
    assert seeds == [_seed.Seed("dump.sql.gz", "imdb", "/srv/dump.sql.gz")]


def test_entries_survive_the_way_through_a_task() -> None:
    seed = _seed.Seed("a", "b", "/c", "d", "e")
    assert _seed.seeds_from([_seed.as_entry(seed)]) == [seed]


def test_same_name_is_refused_within_a_database_only() -> None:
    files = [{"path": "/a/dump.sql", "database": "one"}, {"path": "/b/dump.sql", "database": "two"}]
    assert len(_seed.seeds_from(files)) == 2
    files[1]["database"] = "one"
    with pytest.raises(RelevoError, match=r"^Two seed files for the database one are named dump\.sql\."):
        _seed.seeds_from(files)


def test_a_file_without_name_and_path_is_refused() -> None:
    with pytest.raises(RelevoError, match="neither a name nor a path"):
        _seed.seeds_from([{"database": "imdb"}])


@pytest.mark.parametrize(
    ("value", "quoted"),
    [("plain", "'plain'"), ("it's", "'it''s'"), ("a\\b'c", "E'a\\\\b''c'"), ("ñ {0}", "'ñ {0}'")],
)
def test_literal(value: str, quoted: str) -> None:
    assert _seed.literal(value) == quoted


def test_literal_refuses_nul() -> None:
    with pytest.raises(RelevoError, match="NUL"):
        _seed.literal("a\0b")


def test_identifier() -> None:
    assert _seed.identifier('we"ird') == '"we""ird"'


def test_digest_is_of_the_file_and_the_path_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.sql").write_bytes(SQL)
    monkeypatch.chdir(tmp_path)
    seed = _seed.described(_seed.Seed("a.sql", "imdb", "a.sql"))
    assert (seed.path, seed.sha256) == (str(tmp_path / "a.sql"), hashlib.sha256(SQL).hexdigest())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"PK\x03\x04rest", "zip file"),
        (b"BZh91AY", "bzip2"),
        (b"\xfd7zXZ\x00", "compressed with xz"),
        (b"\x28\xb5\x2f\xfd\x04", "zstd"),
    ],
)
def test_what_cannot_be_sql_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "dump"
    path.write_bytes(content)
    with pytest.raises(RelevoError, match=message):
        _seed.described(_seed.Seed("dump", "imdb", str(path)))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RelevoError, match=r"a\.sql .*cannot be read: No such file or directory"):
        _seed.described(_seed.Seed("a.sql", "imdb", str(tmp_path / "a.sql")))


@pytest.mark.parametrize("packed", [False, True])
def test_the_whole_file_is_sent_before_the_commit(tmp_path: Path, packed: bool) -> None:
    # Larger than one chunk, and without a newline at its end.
    text = SQL * 20000 + b"SELECT 1"
    content = gzip.compress(text) if packed else text
    path = tmp_path / "a"
    path.write_bytes(content)
    sink, feed = Sink(), _seed._Feed(SEED, str(path), TARGET)
    feed.send(sink)
    assert feed.finished
    assert feed.lines == 20001
    file, epilogue = sink.written[: len(text)], sink.written[len(text) :].decode("ascii")
    assert file == text
    assert hashlib.sha256(content).hexdigest() in epilogue
    assert f", {len(content)}, clock_timestamp()" in epilogue
    # The file's last statement may lack its end.
    assert epilogue.startswith("\n;\n")
    assert epilogue.endswith("\nCOMMIT;\n")


@pytest.mark.parametrize("damage", ["truncated", "garbage"])
def test_a_damaged_file_is_never_committed(tmp_path: Path, damage: str) -> None:
    content = gzip.compress(bytes(range(256)) * 5000)
    path = tmp_path / "a.sql.gz"
    path.write_bytes(content[:-9] if damage == "truncated" else content + b"garbage")
    sink, feed = Sink(), _seed._Feed(SEED, str(path), TARGET)
    with pytest.raises(RelevoError, match="cannot be read"):
        feed.send(sink)
    assert not feed.finished
    assert b"COMMIT" not in sink.getvalue()


def test_a_broken_pipe_is_left_to_the_exit_status(tmp_path: Path) -> None:
    class Broken(io.BytesIO):
        def write(self, data: object) -> int:
            raise BrokenPipeError

    path = tmp_path / "a.sql"
    path.write_bytes(SQL)
    feed = _seed._Feed(SEED, str(path), TARGET)
    feed.send(Broken())
    assert not feed.finished


def test_the_prologue_quotes_and_sets_the_role_last() -> None:
    sql = _seed._prologue(_seed.Seed("it's", "imdb", owner=_seed.DATABASE_OWNER), {"imdb": "mov ies"})
    assert "'it''s'" in sql
    assert sql.endswith('SET ROLE "mov ies";\n')
    assert "SET ROLE" not in _seed._prologue(SEED, {"imdb": "movies"})


def test_only_the_epilogue_commits() -> None:
    assert not re.search(r"^\s*COMMIT", _seed.PROLOGUE, re.MULTILINE)
    assert "--set=ON_ERROR_STOP=1" in _seed.PsqlTarget("/bin", "/run", 5432, "postgres", "postgres").psql("imdb")


WARNINGS = "psql:<stdin>:1: WARNING:  25001: there is already a transaction in progress\nLOCATION:  x, y.c:1\n"


@pytest.mark.parametrize(
    ("stderr", "expected"),
    [
        (
            WARNINGS
            + 'psql:<stdin>:12: ERROR:  42P01: relation "x" does not exist\nLINE 1: SELECT\nLOCATION:  a, b.c:2\n',
            _seed.Failure(12, "42P01", 'relation "x" does not exist'),
        ),
        # The severity is translated by the server; the SQLSTATE is not.
        ("psql:<stdin>:3: FEHLER:  22012: Division durch Null\n", _seed.Failure(3, "22012", "Division durch Null")),
        (
            'psql:<stdin>:9: ERROR:  22P02: bad: "zz"\nCONTEXT:  COPY l, line 2, column y: "zz: secret"\n',
            _seed.Failure(9, "22P02", 'bad: "zz" (COPY l, line 2, column y)'),
        ),
        ("ERROR:  RV001: loaded before\nCONTEXT:  PL/pgSQL function\n", _seed.Failure(None, "RV001", "loaded before")),
        (
            "psql:<stdin>:4: error: invalid command \\foo\n",
            _seed.Failure(4, None, "invalid command \\foo"),
        ),
        ("psql: error: connection failed: no\n", _seed.Failure(None, None, "connection failed: no")),
        ("something\nelse\n", _seed.Failure(None, None, "else")),
        ("", _seed.Failure(None, None, "psql gave no reason")),
    ],
)
def test_parse_failure(stderr: str, expected: _seed.Failure) -> None:
    assert _seed.parse_failure(stderr) == expected


@pytest.mark.parametrize(
    ("failure", "parts"),
    [
        (_seed.Failure(3, "22012", "division by zero"), ["error in line 3: division by zero. None of it was loaded."]),
        (_seed.Failure(3, "RV003", "x"), ["ends the transaction itself in line 3", "Remove its BEGIN and COMMIT"]),
        (_seed.Failure(None, "RV004", "x"), ["left the transaction", "\\connect from it"]),
        (_seed.Failure(None, "RV002", "x"), ["is a standby"]),
        (_seed.Failure(2, "25001", "VACUUM cannot run"), ["Remove that statement"]),
        (_seed.Failure(2, "42P06", 'schema "relevo_seed" already exists'), ["--exclude-schema=relevo_seed"]),
        (_seed.Failure(2, "42P06", 'schema "other" already exists'), ["Remove the cause and run again"]),
    ],
)
def test_failure_message(failure: _seed.Failure, parts: list[str]) -> None:
    message = _seed.failure_message(SEED, failure)
    for part in parts:
        assert part in message


def test_a_changed_file_is_worth_a_warning() -> None:
    record = {"sha256": "new", "loaded_at": "2025-10-09"}
    assert _seed.changed_since(_seed.Seed("a", "b", sha256="new"), record) is None
    assert _seed.changed_since(_seed.Seed("a", "b"), record) is None
    warning = _seed.changed_since(_seed.Seed("a", "b", sha256="old"), record)
    assert warning is not None
    assert "It is not loaded again" in warning


def test_the_output_quotes_no_rows() -> None:
    stderr = 'ERROR:  23514: bad\nDETAIL:  Failing row contains (1, secret).\nCONTEXT:  COPY t, line 1: "1 secret"\n'
    assert _seed.excerpt(stderr) == "ERROR:  23514: bad\nDETAIL:  Failing row contains\nCONTEXT:  COPY t, line 1\n"


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzipped"])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (SQL.decode().encode("utf-16"), "is in UTF-16"),
        ("\ufeffSELECT".encode("utf-16-be"), "is in UTF-16"),
        (SQL.decode().encode("utf-16-le"), "is in UTF-16"),
        (SQL.decode().encode("utf-16-be"), "is in UTF-16"),
        (b"$ANSIBLE_VAULT;1.1;AES256\n3133\n", "is encrypted by ansible-vault"),
    ],
)
def test_what_psql_does_not_read_is_refused(
    content: bytes, said: str, pack: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    (tmp_path / "a.sql").write_bytes(pack(content))
    with pytest.raises(RelevoError, match=said):
        _seed.described(_seed.Seed("a.sql", "imdb", str(tmp_path / "a.sql")))


@pytest.mark.parametrize("content", [SQL, codecs.BOM_UTF8 + SQL, "-- ñandú".encode(), b"x"])
def test_utf_8_is_read(content: bytes, tmp_path: Path) -> None:
    for name, written in (("a.sql", content), ("a.sql.gz", gzip.compress(content))):
        (tmp_path / name).write_bytes(written)
        assert _seed.described(_seed.Seed(name, "imdb", str(tmp_path / name))).sha256


def digest_of_vaulted(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Have Ansible itself read a vaulted file, and copy it as the role does."""
    tasks = [
        {
            "name": "Read",
            "relevo.postgres.pg_seed": {
                "state": "digest",
                "files": [{"path": "{{ folder }}/a.sql", "database": "imdb"}],
            },
            "register": "read",
        },
        {
            "name": "Copy",
            "ansible.builtin.copy": {
                "src": "{{ read.described[0].path }}",
                "dest": "{{ folder }}/copied",
                "mode": "0600",
            },
        },
        {
            "name": "Keep",
            "ansible.builtin.copy": {"content": "{{ read | to_json }}", "dest": "{{ folder }}/read", "mode": "0600"},
        },
    ]
    play = [{"hosts": "localhost", "gather_facts": False, "connection": "local", "tasks": tasks}]
    (folder / "play.yml").write_text(yaml.safe_dump(play))
    return subprocess.run(
        [
            str(Path(sys.executable).with_name("ansible-playbook")),
            *("-i", "localhost,", "-e", f"folder={folder}", "-e", f"ansible_python_interpreter={sys.executable}"),
            *options,
            str(folder / "play.yml"),
        ],
        env=os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "LC_ALL": "C.UTF-8", "COLUMNS": "400"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_vaulted_file_is_known_by_its_text(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret\n")
    (tmp_path / "a.sql").write_bytes(SQL)
    vault = [str(Path(sys.executable).with_name("ansible-vault")), "encrypt", "--vault-password-file"]
    subprocess.run([*vault, str(tmp_path / "password"), str(tmp_path / "a.sql")], check=True, capture_output=True)
    done = digest_of_vaulted(tmp_path, "--vault-password-file", str(tmp_path / "password"))
    assert done.returncode == 0, done.stdout + done.stderr
    # What the role copies to the node, and what the load is compared with.
    assert (tmp_path / "copied").read_bytes() == SQL
    read = json.loads((tmp_path / "read").read_text())
    assert read["described"] == read["files"]
    assert read["described"][0]["sha256"] == hashlib.sha256(SQL).hexdigest()
    assert (read["described"][0]["path"], read["described"][0]["name"]) == (str(tmp_path / "a.sql"), "a.sql")

    refused = digest_of_vaulted(tmp_path)
    assert refused.returncode == 2
    assert "is encrypted by ansible-vault and cannot be decrypted" in refused.stdout + refused.stderr
    assert "--vault-password-file" in refused.stdout + refused.stderr


# --- large objects ---------------------------------------------------------------------------------------------------

#: As pg_dump writes them.
HEADER = b"--\n-- Data for Name: 16385; Type: BLOBS; Schema: -; Owner: imdb\n--\n\n"
OBJECTS = (
    b"BEGIN;\n\nSELECT pg_catalog.lo_open('16385', 131072);\nSELECT pg_catalog.lowrite(0, '\\x00');\n"
    b"SELECT pg_catalog.lo_close(0);\n\nSELECT pg_catalog.lo_open('16386', 131072);\n"
    b"SELECT pg_catalog.lo_close(0);\n\nCOMMIT;\n\n"
)


@pytest.mark.parametrize("size", [1, 7, 100, 1 << 18])
def test_the_transaction_around_large_objects_is_taken_out(size: int) -> None:
    text = SQL * 50 + HEADER + OBJECTS + SQL * 50 + HEADER + OBJECTS + SQL
    chunks = [text[start : start + size] for start in range(0, len(text), size)]
    found = b"".join(_seed.without_transactions_of_pg_dump(chunks))
    assert found == text.replace(b"BEGIN;", b" " * 6).replace(b"COMMIT;", b" " * 7)
    assert found.count(b"\n") == text.count(b"\n")


@pytest.mark.parametrize(
    "text",
    [
        b"BEGIN;\n" + SQL + b"COMMIT;\n",
        # Without the comment that pg_dump writes: whoever wrote this is told to take it out.
        b"\n" + OBJECTS.replace(b"COMMIT;", b"END;"),
        b"\nSELECT pg_catalog.lo_open('1', 131072);\n\nCOMMIT;\n",
    ],
)
def test_no_other_transaction_is(text: bytes) -> None:
    assert b"".join(_seed.without_transactions_of_pg_dump([text])) == text


# --- archives --------------------------------------------------------------------------------------------------------


def fake_pg_restore(tmp_path: Path, script: str) -> _seed.PsqlTarget:
    program = tmp_path / "pg_restore"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return _seed.PsqlTarget(str(tmp_path), "/run", 5432, "postgres", pwd.getpwuid(os.geteuid()).pw_name)


def test_an_archive_goes_through_pg_restore(tmp_path: Path) -> None:
    path = tmp_path / "a.dump"
    path.write_bytes(b"PGDMP and more")
    sink = Sink()
    feed = _seed._Feed(SEED, str(path), fake_pg_restore(tmp_path, 'echo "SELECT 1; -- $*"; cat'))
    feed.send(sink)
    assert sink.written.startswith(b"SELECT 1; -- --format=custom --file=-\nPGDMP and more")
    assert hashlib.sha256(b"PGDMP and more").hexdigest().encode() in sink.written


def test_an_archive_that_cannot_be_read_is_never_committed(tmp_path: Path) -> None:
    path = tmp_path / "a.dump"
    path.write_bytes(b"PGDMP")
    sink = Sink()
    feed = _seed._Feed(
        SEED, str(path), fake_pg_restore(tmp_path, "echo SELECT; echo 'unsupported version' >&2; exit 1")
    )
    with pytest.raises(RelevoError, match=r"pg_restore failed: unsupported version\. None of it was loaded"):
        feed.send(sink)
    assert not feed.finished
    assert b"COMMIT" not in sink.getvalue()


def test_a_gzipped_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.dump.gz"
    path.write_bytes(gzip.compress(b"PGDMP"))
    with pytest.raises(RelevoError, match="a gzipped archive of pg_dump. Unpack it first"):
        _seed._Feed(SEED, str(path), TARGET).send(Sink())


def test_the_servers_hint_is_passed_on() -> None:
    failure = _seed.parse_failure(
        "psql:<stdin>:7: ERROR:  53200: out of shared memory\n"
        'HINT:  You might need to increase "max_locks_per_transaction".\nLOCATION:  LockAcquireExtended, lock.c:998\n'
    )
    said = _seed.failure_message(SEED, failure)
    assert 'out of shared memory. The server\'s hint: You might need to increase "max_locks_per_transaction".' in said
