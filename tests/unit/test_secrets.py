"""The folder of secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._secrets import LENGTH, SecretStore


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
