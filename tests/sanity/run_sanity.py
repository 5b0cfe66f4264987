"""Run `ansible-test sanity` on what the collection's archive holds.

ansible-test wants to stand in .../ansible_collections/relevo/postgres and refuses the link that a checkout has there.
So the archive is built and unpacked under a temporary folder: what is tested is what users install. Arguments go on to
ansible-test, for example `--test validate-modules`. Standard library only.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
# A home of its own: it keeps the tests' environments between runs, and the user's home clean.
HOME = ROOT / ".cache" / "ansible-test-home"


def run(*command: str, cwd: Path, env: dict[str, str] | None = None) -> int:
    return subprocess.run(command, cwd=cwd, env=env, check=False).returncode


def unpacked_archive(place: Path) -> Path:
    """Build the collection and unpack it where ansible-test wants it."""
    code = run(str(BIN / "ansible-galaxy"), "collection", "build", "--output-path", str(place), cwd=ROOT)
    if code:
        sys.exit("The collection could not be built: see the message above.")
    [archive] = place.glob("*.tar.gz")
    collection = place / "ansible_collections" / "relevo" / "postgres"
    collection.mkdir(parents=True)
    shutil.unpack_archive(archive, collection)
    return collection


def prepare_home() -> None:
    cache = HOME / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    shutil.copy(Path(__file__).with_name("get_pip_24_2.py"), cache)

    # ansible-test hides the environment and the real home from pip, and with them the registry to use.
    listing = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    found = re.findall(r"^(:env:|global)\.([a-z-]+)=(.*)$", listing, flags=re.MULTILINE)
    # What the environment says goes over what the files say; a list continues on indented lines.
    settings = {
        key: ast.literal_eval(value) for _source, key, value in sorted(found, key=lambda row: row[0] == ":env:")
    }
    settings["quiet"] = 2  # only errors: what the tests say must not drown in what pip says
    settings.pop("verbose", None)
    lines = [f"{key} = {str(value).strip().replace(chr(10), chr(10) + '  ')}" for key, value in settings.items()]
    config = HOME / ".config" / "pip" / "pip.conf"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.unlink(missing_ok=True)
    config.touch(mode=0o600)  # an index's address may hold a password
    config.write_text("\n".join(["[global]", *lines, ""]))


def main() -> int:
    prepare_home()
    env = {
        **os.environ,
        "HOME": str(HOME),
        "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "LC_ALL": "C.UTF-8",
    }
    # The checkout's ansible.cfg points to the checkout's link.
    env.pop("ANSIBLE_CONFIG", None)
    # Only the controller's Python: others may stand on the machine without what their environments need.
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    with tempfile.TemporaryDirectory(prefix="relevo-sanity-") as folder:
        collection = unpacked_archive(Path(folder))
        return run(
            *(str(BIN / "ansible-test"), "sanity", "--python", version, "--requirements", "--color", "no"),
            *sys.argv[1:],
            cwd=collection,
            env=env,
        )


if __name__ == "__main__":
    sys.exit(main())
