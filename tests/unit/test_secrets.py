"""The folder of secrets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._names import PUBLIC_WORD
from ansible_collections.relevo.postgres.plugins.module_utils._secrets import (
    LENGTH,
    SecretStore,
    delete_files,
    files_of,
    leaving,
    public_roles,
)

ROOT = Path(__file__).resolve().parents[2]


def test_a_secret_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    store = SecretStore(tmp_path / "secrets", {})
    assert store.missing(["redis"]) == ["redis"]
    value = store.generate("redis")
    assert len(value) == LENGTH
    assert store.read("redis") == value
    assert store.generate("redis") == value
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "secrets" / "redis").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "secrets").iterdir()] == ["redis"]


def test_a_given_secret_comes_first_and_an_empty_one_does_not_count(tmp_path: Path) -> None:
    made = SecretStore(tmp_path, {}).generate("redis")
    assert SecretStore(tmp_path, {"redis": "given"}).read("redis") == "given"
    assert SecretStore(tmp_path, {"redis": ""}).read("redis") == made


def test_a_secret_that_others_may_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "redis").write_text("x")
    (tmp_path / "redis").chmod(0o644)
    with pytest.raises(RelevoError, match="may be read by others"):
        SecretStore(tmp_path, {}).read("redis")


def test_an_empty_file_is_no_secret(tmp_path: Path) -> None:
    (tmp_path / "redis").touch(0o600)
    with pytest.raises(RelevoError, match="is empty"):
        SecretStore(tmp_path, {}).missing(["redis"])


def test_the_public_word_is_refused_wherever_it_comes_from(tmp_path: Path) -> None:
    with pytest.raises(RelevoError, match="Choose another one"):
        SecretStore(tmp_path, {"redis": PUBLIC_WORD})
    (tmp_path / "redis").write_text(PUBLIC_WORD)
    (tmp_path / "redis").chmod(0o600)
    with pytest.raises(RelevoError, match="Choose another one"):
        SecretStore(tmp_path, {}).read("redis")


def test_digits_without_quotes_are_a_password_and_a_boolean_is_not(tmp_path: Path) -> None:
    assert SecretStore(tmp_path, {"redis": 12345678}).read("redis") == "12345678"
    with pytest.raises(RelevoError, match="must be a text, not bool"):
        SecretStore(tmp_path, {"redis": True})


def test_a_given_secret_is_one_line_as_a_file_is(tmp_path: Path) -> None:
    """A block of YAML ends with a line's end, which no passfile can hold."""
    assert SecretStore(tmp_path, {"redis": "word\n"}).read("redis") == "word"
    for lines in ("one\ntwo", "one\rtwo", "one\0two"):
        with pytest.raises(RelevoError, match="The secret redis has several lines"):
            SecretStore(tmp_path, {"redis": lines})


def test_a_passfile_tells_which_roles_have_the_public_word() -> None:
    pgpass = f"*:*:*:relevo_monitor:{PUBLIC_WORD}\n*:*:*:relevo_rewind:x\n*:*:*:relevo_handover:{PUBLIC_WORD}\n"
    assert public_roles(pgpass) == ["relevo_monitor", "relevo_handover"]
    assert public_roles("") == []


def test_a_given_secret_reaches_the_next_task_as_it_is(tmp_path: Path) -> None:
    """Through Ansible itself, which cuts secrets out of what a module returns, and did so here."""
    (tmp_path / "play.yml").write_text(
        yaml.safe_dump(
            [
                {
                    "hosts": "localhost",
                    "gather_facts": False,
                    "connection": "local",
                    "vars": {"wanted": {"redis": "b:r\\ee ñ", "user_x": "short"}},
                    "tasks": [
                        {
                            "name": "Read",
                            "relevo.postgres.cluster_secrets": {
                                "directory": str(tmp_path / "secrets"),
                                "names": ["redis", "user_x", "made"],
                                "given": "{{ wanted }}",
                                "generate": True,
                            },
                            "register": "read",
                            "no_log": True,
                        },
                        {
                            "name": "Use",
                            "ansible.builtin.copy": {
                                "dest": str(tmp_path / "seen.json"),
                                "content": "{{ read.secrets | to_json }}",
                                "mode": "0600",
                            },
                        },
                    ],
                }
            ]
        )
    )
    done = subprocess.run(
        [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "localhost,", str(tmp_path / "play.yml")],
        env=os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    made = (tmp_path / "secrets" / "made").read_text().strip()
    assert json.loads((tmp_path / "seen.json").read_text()) == {"redis": "b:r\\ee ñ", "user_x": "short", "made": made}
    assert "short" not in done.stdout


OURS = ["redis", "relevo_monitor", "user_shop", "new_passwords.json", *(f"tls/{one}" for one in ("ca.key", "next.crt"))]
PAIR = ["tls/a.crt", "tls/a.key"]
NAMES = {"redis", "relevo_monitor", "user_shop"}


@pytest.mark.parametrize(
    ("more", "hosts", "everything", "deleted", "said"),
    [
        ([], ["a"], True, [*OURS, *PAIR], "The secrets are removed."),
        ([], ["a"], False, PAIR, "The secrets are kept in /s."),
        ([], [], False, [], "The secrets are kept in /s."),
        # Of another inventory, or of a host that somebody forgot.
        (["tls/b.crt"], ["a"], True, PAIR, "The secrets are kept in /s: other hosts have keys there (b)."),
        (["tls/b.key", "tls/b.crt"], ["a", "b"], True, [*OURS, *PAIR, "tls/b.key", "tls/b.crt"], "are removed."),
        # Somebody else's.
        (
            ["vault", "user_of_others", "tls/notes"],
            ["a"],
            True,
            [*OURS, *PAIR],
            "stays: tls/notes, user_of_others, vault.",
        ),
        # Whatever a host is called.
        ([], ["a", "ca", "next"], False, PAIR, "The secrets are kept in /s."),
    ],
)
def test_what_leaves_the_folder_with_its_hosts(
    more: list[str], hosts: list[str], everything: bool, deleted: list[str], said: str
) -> None:
    found = leaving("/s", [*OURS, *PAIR, *more], hosts, everything, NAMES)
    assert sorted(found.delete) == sorted(deleted)
    assert said in found.text


def test_the_folder_goes_when_it_is_empty_and_stays_with_what_is_not_ours(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    (folder / "tls").mkdir(parents=True)
    (folder / "backup").mkdir()
    for name in ("redis", "tls/ca.key", "backup/redis"):
        (folder / name).touch()
    assert sorted(files_of(folder)) == ["backup", "redis", "tls/ca.key"]
    delete_files(folder, ["redis", "tls/ca.key", "gone"])
    assert files_of(folder) == ["backup"]
    (folder / "backup" / "redis").unlink()
    (folder / "backup").rmdir()
    delete_files(folder, [])
    assert not folder.exists()
    assert files_of(folder) == []
    delete_files(folder, [])


def test_keys_behind_a_link_are_seen(tmp_path: Path) -> None:
    """Otherwise those of another inventory would not be."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "b.key").touch()
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "tls").symlink_to(tmp_path / "disk")
    assert files_of(tmp_path / "secrets") == ["tls/b.key"]
    delete_files(tmp_path / "secrets", ["tls/b.key"])
    assert (tmp_path / "disk").is_dir()
