"""The archive that `ansible-galaxy collection build` makes holds the collection, and nothing else of a checkout."""

from __future__ import annotations

import os
import posixpath
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOKEN = b"PLANTED-SECRET-4f1c"

# What lies in a used checkout and must never leave it. Each file is planted with the token as its content.
PLANTED = [
    ".ansible/collections/x.yml",
    ".cache/test-logs/unit.log",
    ".env",
    ".git/config",
    ".pgpass",
    ".secrets/postgres",
    ".vault_pass",
    ".venv/lib/python3.11/site-packages/x.py",
    ".venv/pyvenv.cfg",
    "inventory/.secrets/postgresql_superuser_password",
    "inventory/.secrets/tls/ca.key",
    "inventory/group_vars/all.yml",
    "inventory/production.yml",
    "molecule/.secrets/redis_password",
    "molecule/inventory.yml",
    "playbooks/.secrets/redis_password",
    "playbooks/vault_pass.txt",
    "plugins/modules/__pycache__/x.cpython-311.pyc",
    "plugins/module_utils/.ruff_cache/x",
    "production/.secrets/redis_password",
    "relevo-postgres-0.0.1.tar.gz",
    "roles/postgresql/files/ca.pem",
    "roles/postgresql/files/id_ed25519",
    "roles/postgresql/files/node.key",
    "roles/postgresql/files/pgpass",
    "roles/postgresql/files/server.p12",
    "shared/FIELD-NOTES.md",
    "tests/output/junit/x.xml",
    "tests/unit/__pycache__/x.pyc",
]

# A new entry of the root is packed only when somebody has decided so, here and in galaxy.yml.
PACKED_ENTRIES = {
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CODE_OF_CONDUCT.md",
    "CONTRIBUTING.md",
    "FILES.json",
    "LICENSE",
    "MANIFEST.json",
    "README.es.md",
    "README.md",
    "SECURITY.md",
    "backup.yml",
    "changelogs",
    "docs",
    "examples",
    "meta",
    "playbooks",
    "plugins",
    "roles",
    "site.yml",
    "tests",
}


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Build the archive of a copy of this checkout with planted files in it; return its files' contents."""
    folder = tmp_path_factory.mktemp("archive")
    checkout = folder / "checkout"
    left_out = shutil.ignore_patterns(".git", ".venv", ".cache", ".ansible", ".secrets", "__pycache__", "*.tar.gz")
    shutil.copytree(ROOT, checkout, symlinks=True, ignore=left_out)
    for name in PLANTED:
        path = checkout / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(TOKEN)

    output = folder / "output"
    command = [
        str(Path(sys.executable).with_name("ansible-galaxy")),
        "collection",
        "build",
        "--output-path",
        str(output),
    ]
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    environment.pop("ANSIBLE_CONFIG", None)
    result = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr

    [archive] = output.iterdir()
    with tarfile.open(archive) as tar:
        assert not [member.name for member in tar if member.issym() or member.islnk()]
        files = {member.name: tar.extractfile(member) for member in tar if member.isfile()}
        return {name: file.read() for name, file in files.items() if file is not None}


def test_the_copy_is_a_checkout_with_the_link() -> None:
    """Without the link the test below would prove nothing about it."""
    assert (ROOT / "collections" / "ansible_collections" / "relevo" / "postgres").is_symlink()


@pytest.mark.parametrize("name", PLANTED)
def test_planted_file_is_not_packed(packed: dict[str, bytes], name: str) -> None:
    assert name not in packed


def test_no_planted_content_is_packed_under_another_name(packed: dict[str, bytes]) -> None:
    assert [name for name, content in packed.items() if TOKEN in content and not name.startswith("tests/unit/")] == []


def test_only_known_entries_stand_at_the_root(packed: dict[str, bytes]) -> None:
    assert {name.split("/", 1)[0] for name in packed} <= PACKED_ENTRIES


def test_the_collection_is_complete(packed: dict[str, bytes]) -> None:
    expected = {
        str(path.relative_to(ROOT))
        for folder in ("plugins", "roles", "playbooks", "meta", "docs", "examples")
        for path in (ROOT / folder).rglob("*")
        if path.is_file()
        and not path.is_symlink()
        and not any(part == "__pycache__" or part.endswith("_cache") for part in path.parts)
    }
    for kind in ("plugins/modules/", "plugins/module_utils/", "roles/", "playbooks/"):
        assert any(name.startswith(kind) for name in expected), f"this checkout has nothing under {kind}"
    assert expected - packed.keys() == set()


def test_no_page_links_to_what_is_not_packed(packed: dict[str, bytes]) -> None:
    """Galaxy shows the README, and its readers have the archive only."""
    dead = []
    for name, content in packed.items():
        for target in re.findall(r"\]\(([^)\s]+)\)", content.decode()) if name.endswith(".md") else []:
            path = posixpath.normpath(posixpath.join(posixpath.dirname(name), target.partition("#")[0]))
            if "://" not in target and not target.startswith("#") and path not in packed:
                dead.append(f"{name}: {target}")
    assert dead == []
