"""How long certificates are valid, as a node's openssl and the controller's library say."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ansible_collections.relevo.postgres.plugins.filter.certificate_days import certificate_days
from ansible_collections.relevo.postgres.plugins.module_utils._server.certificate import remaining


@pytest.mark.parametrize(
    ("said", "days"),
    [("notAfter=Nov 24 12:00:00 2026 GMT\n", 1.0), ("notAfter=Nov  3 12:00:00 2026 GMT", -20.0)],
)
def test_what_openssl_says(said: str, days: float) -> None:
    assert remaining(said, datetime(2026, 11, 23, 12, tzinfo=UTC)) == days


def test_what_the_controller_reads(tmp_path: Path) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    files = ["-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "crt")]
    subprocess.run([*command, *files, "-days", "20", "-subj", "/CN=a"], check=True, capture_output=True)
    assert 19.9 < certificate_days(str(tmp_path / "crt")) <= 20
    assert certificate_days(str(tmp_path / "none")) == 0
