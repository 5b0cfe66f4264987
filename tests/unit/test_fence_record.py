"""The record of a fence: written where the nodes read it, and removed when it is void."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._repository import fence_record
from ansible_collections.relevo.postgres.plugins.module_utils._repository.fence_record import (
    FenceRecord,
    RepositoryReader,
)
from ansible_collections.relevo.postgres.plugins.module_utils._repository.pgbackrest import repository_directory
from ansible_collections.relevo.postgres.plugins.module_utils._server import marker
from ansible_collections.relevo.postgres.plugins.module_utils._server.marker import Marker
from ansible_collections.relevo.postgres.plugins.modules import fence_record as fence_record_module

RECORD = FenceRecord("a")
MARKER = Marker.now("fence", node="a", by="alice", successor="b", timeline=2)


@pytest.fixture(autouse=True)
def no_other_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no user postgres where the unit tests run, and they may run as root."""

    def write(path: Path, content: str, mode: int = 0o600) -> None:
        path.write_text(content)
        path.chmod(mode)

    monkeypatch.setattr(fence_record, "write_file", write)
    monkeypatch.setattr(marker, "ensure_directory", lambda path: path.mkdir(exist_ok=True))


def test_what_was_written_is_where_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert RECORD.write(tmp_path, MARKER.to_json())
    assert not RECORD.write(tmp_path, MARKER.to_json())

    def repo_get(command: list[str], timeout: float) -> subprocess.CompletedProcess[str]:
        del timeout
        path = tmp_path / command[-1]
        return subprocess.CompletedProcess(command, not path.exists(), path.read_text() if path.exists() else "", "")

    monkeypatch.setattr("ansible_collections.relevo.postgres.plugins.module_utils._process.run", repo_get)
    reader = RepositoryReader("main")
    assert RECORD.read(reader) == MARKER
    assert FenceRecord("b").read(reader) is None

    assert RECORD.withdraw(tmp_path)
    assert not RECORD.withdraw(tmp_path)
    assert RECORD.read(reader) is None


def test_one_that_0_1_0_emptied_is_withdrawn_and_a_garbled_one_forbids() -> None:
    class Reader(RepositoryReader):
        def get(self, path: str, timeout: float = 1, raw: bool = False) -> str | None:
            assert raw, "an encrypted repository has no passphrase for it"
            return {"relevo/fence/a.json": "\n", "relevo/fence/b.json": "{"}[path]

    assert RECORD.read(Reader("main")) is None
    garbled = FenceRecord("b").read(Reader("main"))
    assert garbled is not None
    assert garbled.in_force(99)


def test_a_directory_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(RelevoError, match="does not exist"):
        RECORD.write(tmp_path / "unmounted", MARKER.to_json())


def asked(config: Path, text: str, state: str) -> dict[str, Any]:
    config.write_text(text)
    params = {"nodes": ["a"], "state": state, "content": MARKER.to_json(), "config": str(config)}
    module: Any = SimpleNamespace(params=params, check_mode=True)
    return fence_record_module.work(module)


def test_a_bucket_has_nothing_to_withdraw_and_takes_no_record(tmp_path: Path) -> None:
    config, bucket = tmp_path / "pgbackrest.conf", "[global]\nrepo1-type=s3\nrepo1-path=/pg\n"
    # A rejoin that could not ask whether there is one withdraws it anyway.
    assert asked(config, bucket, "absent")["changed"] is False
    for state in ("tried", "present"):
        with pytest.raises(RelevoError, match="No record of a fence can be kept here: .*repo1-type=s3"):
            asked(config, bucket, state)
    for state in ("absent", "tried"):
        with pytest.raises(RelevoError, match="is on backup1"):
            asked(config, "[global]\nrepo1-host=backup1\nrepo1-type=s3\n", state)


def test_whether_one_could_be_left_is_asked_without_one(tmp_path: Path) -> None:
    config = tmp_path / "pgbackrest.conf"
    assert asked(config, f"[global]\nrepo1-path={tmp_path}\n", "tried")["changed"] is False
    assert not (tmp_path / "relevo").exists()
    with pytest.raises(RelevoError, match="does not exist"):
        asked(config, f"[global]\nrepo1-path={tmp_path}/unmounted\n", "tried")


@pytest.mark.usefixtures("own_account")
def test_a_disk_that_takes_nothing_is_found_before_anybody_is_fenced(tmp_path: Path) -> None:
    fence_record.try_place(tmp_path)
    assert list((tmp_path / "relevo" / "fence").iterdir()) == []
    # Root, who may run the tests, writes to what is read-only.
    (tmp_path / "other" / "relevo").mkdir(parents=True)
    (tmp_path / "other" / "relevo" / "fence").touch()
    with pytest.raises(RelevoError, match="No record can be left in .*other"):
        fence_record.try_place(tmp_path / "other")


@pytest.mark.parametrize(
    ("text", "directory"),
    [
        ("[global]\nrepo1-path=/backup/pg\n", "/backup/pg"),
        ("[global]\nrepo1-type=cifs\nrepo1-path=/mnt/share\n", "/mnt/share"),
        ("[global]\ntls-server-auth=a=main\ntls-server-auth=b=main\n", "/var/lib/pgbackrest"),
    ],
)
def test_the_directory_is_the_configured_one(text: str, directory: str) -> None:
    assert repository_directory(text) == Path(directory)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[global]\nrepo1-type=s3\nrepo1-path=/pg\n", "not a directory of this host (repo1-type=s3)"),
        ("[global]\nrepo1-host=backup1\n", "is on backup1"),
    ],
)
def test_a_bucket_and_a_node_have_none(text: str, words: str) -> None:
    with pytest.raises(RelevoError) as refused:
        repository_directory(text)
    assert words in refused.value.message
