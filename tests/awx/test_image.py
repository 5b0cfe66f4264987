# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each Python package of the image that AWX runs the jobs in can be installed there: pip is asked, as for that image.

The image has another Python than the tests, so what is installed here proves nothing about the image.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
#: What pip of that distribution takes: its C library is 2.34.
PLATFORMS = [f"manylinux{tag}_x86_64" for tag in ("2014", *(f"_2_{minor}" for minor in range(17, 35)))]


def resolved(image: dict[str, Any], folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    dependencies = image["dependencies"]
    version = dependencies["python_interpreter"]["package_system"].removeprefix("python")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--report=-", f"--target={folder}"]
    command += ["--only-binary=:all:", f"--python-version={version}", "--implementation=cp"]
    command += [f"--abi={abi}" for abi in (f"cp{version.replace('.', '')}", "abi3", "none")]
    command += [f"--platform={platform}" for platform in PLATFORMS]
    named = [dependencies[name]["package_pip"] for name in ("ansible_core", "ansible_runner")]
    return subprocess.run(
        [*command, "-r", str(ROOT / dependencies["python"]), *named, *more],
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip


def test_every_python_package_can_be_installed_in_the_image(tmp_path: Path) -> None:
    image = yaml.safe_load((ROOT / "execution-environment.yml").read_text(encoding="utf-8"))
    done = resolved(image, tmp_path)
    assert done.returncode == 0, done.stderr
    names = {one["metadata"]["name"].lower() for one in json.loads(done.stdout)["install"]}
    assert names >= {"ansible-core", "ansible-runner", "cryptography", "docker", "psycopg", "redis"}
    # The check above can fail: there is no such release.
    assert resolved(image, tmp_path, "redis>=1000").returncode != 0
