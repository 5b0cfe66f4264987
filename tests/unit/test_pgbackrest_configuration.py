"""What an owner gives replaces ours, in every section, in pgBackRest's own form."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.relevo.postgres.plugins.filter.with_pgbackrest_options import with_pgbackrest_options
from ansible_collections.relevo.postgres.plugins.module_utils import _names

ROOT = Path(__file__).resolve().parents[2]

OURS = """# Written by us
[global]
compress-type=zst
# A comment with compress-type=none
process-max=4
tls-server-auth=a=main
tls-server-auth=b=main

[global:restore]
process-max=4

[main]
pg1-path=/data
"""


def test_without_options_nothing_changes() -> None:
    assert with_pgbackrest_options(OURS, {}) == OURS


def test_what_is_given_stands_once_and_ours_nowhere() -> None:
    text = with_pgbackrest_options(OURS, {"process-max": 2, "compress-type": "lz4", "buffer-size": "1MiB"})
    assert (
        text
        == """# Written by us
[global]
# A comment with compress-type=none
tls-server-auth=a=main
tls-server-auth=b=main
buffer-size=1MiB
compress-type=lz4
process-max=2

[global:restore]

[main]
pg1-path=/data
"""
    )


def test_lists_and_booleans_are_in_pgbackrests_form() -> None:
    text = with_pgbackrest_options("[global]\nstart-fast=y\n", {"start-fast": False, "db-exclude": ["x", "y"]})
    assert text == "[global]\ndb-exclude=x\ndb-exclude=y\nstart-fast=n\n"


def test_what_starts_the_tls_server_has_the_options_of_our_sessions() -> None:
    """The image's script cannot be a template, so it is held to their owner here."""
    script = ROOT / "roles" / "docker_nodes" / "files" / "image" / "service" / "pgbackrest" / "run"
    options = _names.unlimited(_names.TRANSACTION_TIMEOUT_SINCE, superuser=True)
    assert 'export PGOPTIONS="' + options.replace("\\", "\\\\") + '"' in script.read_text(encoding="utf-8").splitlines()
    unit = ROOT / "roles" / "pgbackrest" / "templates" / "relevo-pgbackrest.service.j2"
    assert r".unlimited | replace('\\', '\\\\') }}" in unit.read_text(encoding="utf-8")
