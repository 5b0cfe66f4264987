# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Another code, page, requirement or certificate is another unit of the control API, so that api.yml restarts it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.loaded import digest_of

ROLE = Path(__file__).resolve().parents[2] / "roles" / "control_api"


@pytest.fixture
def there(tmp_path: Path) -> list[Path]:
    (tmp_path / "files" / "page").mkdir(parents=True)
    (tmp_path / "files" / "app.py").write_text("1")
    (tmp_path / "files" / "page" / "page.js").write_text("1")
    (tmp_path / "node.crt").write_text("1")
    return [tmp_path / "files", tmp_path / "node.crt", tmp_path / "missing"]


def compiled(root: Path) -> None:
    (root / "files" / "__pycache__").mkdir()
    (root / "files" / "__pycache__" / "app.pyc").write_text("x")


@pytest.mark.parametrize(
    ("change", "other"),
    [
        (lambda _root: None, False),
        (compiled, False),
        (lambda root: (root / "files" / "app.py").touch(), False),
        (lambda root: (root / "files" / "app.py").write_text("2"), True),
        (lambda root: (root / "files" / "page" / "page.js").write_text("2"), True),
        (lambda root: (root / "files" / "page" / "page.js").rename(root / "files" / "page.js"), True),
        (lambda root: (root / "files" / "more.py").write_text(""), True),
        (lambda root: (root / "node.crt").write_text("2"), True),
    ],
)
def test_a_change_is_another_digest(
    there: list[Path], tmp_path: Path, change: Callable[[Path], object], other: bool
) -> None:
    before = digest_of(there)
    change(tmp_path)
    assert (digest_of(there) != before) is other


def test_the_role_counts_all_that_the_service_loads() -> None:
    given = yaml.safe_load((ROLE / "vars" / "main.yml").read_text(encoding="utf-8"))["__control_api_given"]
    assert given["loaded"] == [
        "{{ role_path }}/files",
        "{{ __control_api_root }}/plugins/module_utils",
        "{{ control_api_tls_certificate }}",
        "{{ control_api_tls_client_authority }}",
        "{{ control_api_awx_authority }}",
    ]
    assert {"relevo_api", "requirements.txt"} <= {path.name for path in (ROLE / "files").iterdir()}
    unit = (ROLE / "templates" / "relevo-api.service.j2").read_text(encoding="utf-8")
    assert "{{ __control_api_worked_out.loaded }}" in unit
