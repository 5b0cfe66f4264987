"""Run a playbook as AWX runs a job: ansible-runner, a private data directory, a copy of the project and nothing else.

What AWX does is written from its sources (24.6.1: awx/main/tasks/jobs.py, awx/main/models/credential): the inventory is
a program that prints JSON, the survey's answers are extra variables that Ansible must not render, a credential's files
lie in ``env``, and ``ansible.cfg`` of the project says where collections are. The user has no rights and no home
directory; the image's entry point finds a writable one, which ``ANSIBLE_HOME`` stands for here. No container is made
for the job.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from awx_data import ROOT
from jinja2.sandbox import ImmutableSandboxedEnvironment

BIN = Path(sys.executable).parent
NOBODY = 65534
SOCKET = Path("/var/run/docker.sock")
NOT_IN_GIT = (".git", ".venv", ".cache", ".ansible", ".secrets", "__pycache__", "*.tar.gz", ".*_cache", "output")
#: Extra variables that AWX gives every job.
JOB = {"awx_job_id": 17, "awx_user_name": "alice", "awx_job_launch_type": "manual", "tower_job_id": 17}


@dataclass(frozen=True)
class Job:
    """How a job ended: its status as AWX shows it, its exit status, and its output."""

    status: str
    code: int
    output: str
    #: Files of secrets that it has made, beside copies of what its credential holds; AWX removes them with the job.
    secrets: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The output with its white space folded."""
        return " ".join(self.output.split())


@contextmanager
def project() -> Iterator[Path]:
    """A checkout as AWX has one, without what ``.gitignore`` names: ``.venv``, ``.cache``, secrets."""
    with tempfile.TemporaryDirectory(prefix="relevo-awx-") as folder:
        checkout = Path(folder) / "project"
        shutil.copytree(ROOT, checkout, symlinks=True, ignore=shutil.ignore_patterns(*NOT_IN_GIT))
        yield checkout


def credential_files(credential_type: Mapping[str, Any], inputs: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Write the files of a credential, and return the extra variables that name them."""
    environment = ImmutableSandboxedEnvironment()
    paths = {}
    for label, template in credential_type["injectors"]["file"].items():
        path = folder / f"credential-{label}"
        path.write_text(environment.from_string(template).render(inputs))
        path.chmod(stat.S_IRUSR | stat.S_IWUSR)
        paths[label.partition(".")[2]] = str(path)
    return {
        name: environment.from_string(template).render(tower={"filename": paths})
        for name, template in credential_type["injectors"]["extra_vars"].items()
    }


def run(
    checkout: Path,
    template: Mapping[str, Any],
    inventory: Mapping[str, Any],
    answers: Mapping[str, Any],
    credential: tuple[Mapping[str, Any], Mapping[str, str]],
    ssh_key: str = "",
    timeout: int = 900,
) -> Job:
    """Run a job of a template. ``inventory``: as ``ansible-inventory --list`` prints one.

    ``ssh_key``: of the machine credential, which ansible-runner gives to an agent.
    """
    folder = Path(tempfile.mkdtemp(prefix="relevo-job-"))
    try:
        (folder / "inventory").mkdir()
        (folder / "env").mkdir()
        (folder / "cp").mkdir(mode=0o700)
        shutil.copytree(checkout, folder / "project", symlinks=True)
        hosts = folder / "inventory" / "hosts"
        hosts.write_text(f"#!{sys.executable}\nprint({json.dumps(inventory)!r})\n")
        hosts.chmod(0o700)
        # What was answered wins over what the template says of itself.
        (folder / "env" / "extravars").write_text(_extra_variables({**template.get("extra_vars", {}), **answers}))
        (folder / "env" / "credential.json").write_text(json.dumps(credential_files(*credential, folder / "env")))
        arguments = ["-e", f"@{folder}/env/credential.json"]
        arguments += ["--check"] if template["job_type"] == "check" else []
        if ssh_key:
            (folder / "env" / "ssh_key").write_text(ssh_key)
            # Debian's own has a group's rights, and whatever it starts would lose ours (_without_rights).
            (folder / "bin").mkdir()
            shutil.copyfile("/usr/bin/ssh-agent", folder / "bin" / "ssh-agent")
            (folder / "bin" / "ssh-agent").chmod(0o755)
        (folder / "env" / "cmdline").write_text(" ".join(arguments))
        return _start(folder, template["playbook"], timeout, set(map(str.strip, credential[1].values())))
    finally:
        shutil.rmtree(folder)


def _extra_variables(answers: Mapping[str, Any]) -> str:
    """AWX's safe_dump: what a person typed is never rendered."""

    class Typed(str):
        pass

    class Dumper(yaml.SafeDumper):  # type: ignore[misc]
        pass

    Dumper.add_representer(Typed, lambda dumper, text: dumper.represent_scalar("!unsafe", str(text)))
    typed = {name: Typed(value) if isinstance(value, str) else value for name, value in answers.items()}
    dumped: str = yaml.dump({**JOB, **typed}, Dumper=Dumper)
    return dumped


def _start(folder: Path, playbook: str, timeout: int, given: set[str]) -> Job:
    environment = {
        "PATH": f"{folder}/bin:{BIN}:/usr/local/bin:/usr/bin:/bin",
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_HOME": str(folder / "home"),
        # AWX puts the project's own path, from its ansible.cfg, behind that of collections/requirements.yml.
        "ANSIBLE_COLLECTIONS_PATH": f"{folder}/requirements_collections:collections:/usr/share/ansible/collections",
        # Where SSH keeps its connections: a job has no home for them.
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(folder / "cp"),
        "ANSIBLE_FORCE_COLOR": "false",
        "JOB_ID": "17",
    }
    command = ["ansible-runner", "run", str(folder), "--playbook", playbook, "--ident", "17"]
    done = subprocess.run(
        [*_without_rights(folder), "env", "-i", *(f"{name}={value}" for name, value in environment.items()), *command],
        cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=timeout,
        start_new_session=True,
    )  # fmt: skip
    status = (folder / "artifacts" / "17" / "status").read_text() if done.returncode != 70 else "error"
    kept = [path for secrets in folder.rglob(".secrets") for path in secrets.rglob("*") if path.is_file()]
    made = tuple(str(path.relative_to(folder)) for path in kept if path.read_text().strip() not in given)
    return Job(status, done.returncode, done.stdout + done.stderr, made)


def _without_rights(folder: Path) -> list[str]:
    """A prefix for root: nobody, who may read what Python needs, and talk with a Docker engine."""
    if os.getuid() != 0:
        return []
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    groups = f"{NOBODY},{SOCKET.stat().st_gid}" if SOCKET.exists() else str(NOBODY)
    return [
        "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", f"--groups={groups}",
        "--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search",
    ]  # fmt: skip
