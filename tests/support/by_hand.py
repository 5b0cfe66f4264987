"""What somebody does to a repository with pgBackRest and a shell, past the playbooks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from cluster import PRIMARY, REPOSITORY, archive_all, labels, psql, shell

REPO = "/var/lib/pgbackrest"


def backup(kind: str) -> str:
    """A backup of the repository that nothing else expires; its label."""
    before = labels()
    keep = "--repo1-retention-full=99"
    shell(REPOSITORY, "pgbackrest", "--stanza=main", f"--type={kind}", keep, "backup", user="postgres")
    [label] = [one for one in labels() if one not in before]
    return label


def annotate(label: str, **annotations: str) -> None:
    """An empty value removes one; ``_`` in a key is ``-``."""
    given = [f"--annotation={key.replace('_', '-')}={value}" for key, value in annotations.items()]
    shell(REPOSITORY, "pgbackrest", "--stanza=main", f"--set={label}", *given, "annotate", user="postgres")


def archived_files() -> list[str]:
    """The paths of the segments of the archive, in the order of their names."""
    found = shell(REPOSITORY, "find", f"{REPO}/archive/main", "-name", "0*-*.zst").split()
    return sorted(found, key=lambda path: path.rpartition("/")[2])


@contextlib.contextmanager
def hole() -> Iterator[str]:
    """A segment after all backups is missing, with another one after it; its name."""
    for _ in range(2):
        # Something to switch from.
        psql(PRIMARY, "SELECT pg_logical_emit_message(true, 'test', 'more')")
        archive_all()
    lost = archived_files()[-2]
    shell(REPOSITORY, "mv", lost, "/tmp/lost")
    try:
        yield lost.rpartition("/")[2][:24]
    finally:
        shell(REPOSITORY, "mv", "/tmp/lost", lost)
