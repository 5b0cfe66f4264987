"""What is installed on a node for the start guard: complete by its imports, and replaced in one step."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils import _guard_files
from ansible_collections.relevo.postgres.plugins.module_utils._files import Entry
from ansible_collections.relevo.postgres.plugins.module_utils._guard_files import (
    NOTE,
    closure,
    guard_entries,
    imported,
    stale_paths,
    version_of,
)

MODULE_UTILS = Path(__file__).resolve().parents[2] / "plugins" / "module_utils"
#: Libraries of others that may be missing while a server starts: none but this one, and only to ask a peer.
FOREIGN = {"psycopg"}

TREE = {
    "_start_guard": "from . import _names\nfrom ._server import marker\nif x:\n    from ._cluster.topology import f\n",
    "_names": "import os\n",
    "_server.marker": "from .. import _names\nfrom .server import write\n",
    "_server.server": "from .._errors import RelevoError\n",
    "_cluster.topology": "from .._server.server import Server\n",
    "_errors": "",
    "_other": "from ._start_guard import main\n",
}


def put(entries: list[Entry]) -> None:
    """Write them as ``Entry.write`` does, but for the owner, which needs root."""
    for entry in entries:
        if entry.content is None:
            entry.path.mkdir(parents=True, exist_ok=True)
        else:
            entry.path.write_text(entry.content)


def run(package: Path, code: str) -> str:
    """Run Python with nothing but the installed package beside its own library."""
    environment = {"PYTHONPATH": str(package.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment
    ).stdout.strip()


def test_the_closure_follows_every_form_of_import() -> None:
    assert set(closure(read=TREE.get)) == set(TREE) - {"_other"}


def test_a_module_that_is_not_there_is_said() -> None:
    broken = TREE | {"_server.server": "from .gone import x\n"}
    with pytest.raises(LookupError, match="_server.gone"):
        closure(read=broken.get)


def test_the_guard_is_in_its_own_closure_and_no_other_subject_than_it_needs() -> None:
    sources = closure()
    assert {"_start_guard", "_server.marker", "_cluster.topology"} <= set(sources)
    assert {module.partition(".")[0] for module in sources if "." in module} == {"_server", "_cluster", "_repository"}


def test_every_import_of_the_closure_is_installed() -> None:
    sources = closure()
    for module, source in sources.items():
        assert set(imported(module, source)) <= set(sources), module


def test_nothing_else_is_imported_but_pythons_own_library() -> None:
    for module, source in closure().items():
        for node in ast.walk(ast.parse(source)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            roots = {name.partition(".")[0] for name in names}
            assert roots <= sys.stdlib_module_names | FOREIGN, module


def test_the_sources_are_found_in_an_archive_as_ansible_packs_it(tmp_path: Path) -> None:
    """A module runs from a zip file, in which folders have an empty ``__init__.py``."""
    package = Path("ansible_collections", "relevo", "postgres", "plugins", "module_utils")
    archive = tmp_path / "payload.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for folder in (*package.parents[:-1], package):
            file.writestr(f"{folder}/__init__.py", "")
        for path in MODULE_UTILS.rglob("*.py"):
            file.write(path, package / path.relative_to(MODULE_UTILS))
        for folder in (path for path in MODULE_UTILS.iterdir() if path.is_dir() and path.name != "__pycache__"):
            file.writestr(f"{package / folder.name}/__init__.py", "")
    code = f"import json; from {_guard_files.__name__} import closure; print(json.dumps(closure()))"
    found = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env={"PYTHONPATH": str(archive)}
    )
    assert json.loads(found.stdout) == closure()


def test_the_installed_guard_loads_without_psycopg(tmp_path: Path) -> None:
    package = tmp_path / "relevo"
    sources = closure()
    put(guard_entries(package, sources))
    code = f"import sys; sys.modules['psycopg'] = None; from relevo.{version_of(sources)}._start_guard import main"
    run(package, code)
    # What it loads only to ask a witness is there, too.
    modules = "; ".join(f"import relevo.{version_of(sources)}.{module}" for module in sources)
    run(package, f"import sys; sys.modules['psycopg'] = None; {modules}")


def test_the_service_manager_runs_the_version_that_was_installed_last(tmp_path: Path) -> None:
    package = tmp_path / "relevo"
    for number in (1, 2, 1):
        put(guard_entries(package, {"_start_guard": f"def main():\n    print({number})\n    return 0\n"}))
        done = subprocess.run(
            [sys.executable, "-m", "relevo._start_guard"],
            check=True,
            capture_output=True,
            text=True,
            env={"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
        )
        assert done.stdout == f"{number}\n"


def test_what_the_service_manager_runs_is_replaced_last() -> None:
    package = Path("/etc/relevo/lib/relevo")
    entries = guard_entries(package, TREE)
    assert entries[-1].path == package / "_start_guard.py"
    directories = [entry.path for entry in entries if entry.content is None]
    written = [entry.path.parent for entry in entries if entry.content is not None]
    assert set(written) <= set(directories)
    assert entries[len(directories) :] == [entry for entry in entries if entry.content is not None]


def test_other_sources_have_another_folder() -> None:
    assert version_of(TREE) == version_of(dict(reversed(TREE.items())))
    assert version_of(TREE) != version_of(TREE | {"_errors": "# changed\n"})


@pytest.fixture
def upgraded(tmp_path: Path) -> Path:
    """A node with files of the first versions, which had no folder, and the version that replaced them."""
    package = tmp_path / "relevo"
    package.mkdir()
    for name in ("__init__", "_start_guard", "_server", "_given_up"):
        (package / f"{name}.py").write_text(NOTE)
    put(guard_entries(package, TREE))
    return package


def age(path: Path, seconds: int) -> None:
    os.utime(path, (path.stat().st_atime - seconds, path.stat().st_mtime - seconds))


def test_the_version_that_was_replaced_stays_for_a_guard_that_is_just_being_loaded(upgraded: Path) -> None:
    assert stale_paths(upgraded, TREE) == []


def test_the_flat_files_go_with_the_version_after(upgraded: Path) -> None:
    newer = TREE | {"_errors": "# 2\n"}
    put(guard_entries(upgraded, newer))
    assert stale_paths(upgraded, newer) == [upgraded / "_given_up.py", upgraded / "_server.py"]


def test_of_the_versions_before_only_the_newest_stays(upgraded: Path) -> None:
    versions = [TREE | {"_errors": f"# {number}\n"} for number in (1, 2)]
    age(upgraded / version_of(TREE), 20)
    for sources, seconds in zip(versions, (10, 0), strict=True):
        put(guard_entries(upgraded, sources))
        age(upgraded / version_of(sources), seconds)
    stale = stale_paths(upgraded, versions[1])
    assert upgraded / version_of(TREE) in stale
    assert not {upgraded / version_of(sources) for sources in versions} & set(stale)


@pytest.mark.parametrize("path", sorted(MODULE_UTILS.rglob("*.py")), ids=lambda path: path.stem)
def test_the_imports_of_a_source_are_found_without_parsing_all_of_it(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    parsed = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom) and node.level]
    found = [node for text in _guard_files.RELATIVE_IMPORT.findall(source) for node in ast.parse(text).body]
    assert sorted(map(ast.dump, found)) == sorted(map(ast.dump, parsed))
