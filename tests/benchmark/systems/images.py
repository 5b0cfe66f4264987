"""The images of the rivals' nodes: built on the product's own, so that PostgreSQL and pgBackRest are the same."""

from __future__ import annotations

import functools
import json
import sys
from pathlib import Path

from systems.base import PREFIX, BenchmarkError, command, docker

ROOT = Path(__file__).resolve().parents[3]
CONTEXT = ROOT / "roles" / "docker_nodes" / "files" / "image"
IMAGES = ROOT / "tests" / "benchmark" / "images"
BUILD_SECONDS = 1800

sys.path[:0] = [str(ROOT / "collections"), str(ROOT / "tests" / "support")]

import cluster  # noqa: E402

from ansible_collections.relevo.postgres.plugins.module_utils._nodes.container_plan import Wanted, image_tag  # noqa: E402


def _there(image: str) -> bool:
    return bool(docker("image", "ls", "-q", image).strip())


def _build(image: str, context: Path, base: str, *options: str) -> None:
    labels = ["--label", "relevo.managed=true"]
    docker("build", "-q", "-t", image, "--build-arg", f"BASE_IMAGE={base}", *labels, *options, str(context),
           timeout=BUILD_SECONDS)  # fmt: skip


def _debian() -> str:
    """The image that the product builds on: pulled, or made here where no image registry answers."""
    ansible = Path(sys.executable).with_name("ansible")
    module = ("-m", "relevo.postgres.docker_base_image", "-a", f"name={_defaults()['docker_nodes_base_image']}")
    interpreter = ("-e", f"ansible_python_interpreter={sys.executable}")
    inventory = ("-i", "localhost,", "-c", "local", "localhost", "-o")
    said = command("env", f"ANSIBLE_CONFIG={ROOT / 'ansible.cfg'}", "LC_ALL=C.UTF-8", str(ansible), *inventory, *module,
                   *interpreter, timeout=BUILD_SECONDS)  # fmt: skip
    answer = json.loads(said[said.index("{") :])
    return str(answer["image"])


def _defaults() -> dict[str, str]:
    """The role's defaults, of which the product's plan names its images after."""
    lines = (ROOT / "roles" / "docker_nodes" / "defaults" / "main.yml").read_text().splitlines()
    return dict(line.split(": ", 1) for line in lines if ": " in line)


@functools.cache
def product_image(kind: str) -> str:
    """The product's image of a kind of node in this checkout; built when site.yml has not done so yet."""
    arguments = Wanted(kind, kind, "main", version=cluster.VERSION).build_arguments()
    image = image_tag(kind, CONTEXT, _defaults()["docker_nodes_base_image"], arguments)
    if not _there(image):
        options = [option for name, value in arguments.items() for option in ("--build-arg", f"{name}={value}")]
        _build(image, CONTEXT, _debian(), "--target", kind, *options)
    return image


@functools.cache
def rival_image(name: str) -> str:
    """The image of a rival's nodes, named after all that goes into it."""
    context = IMAGES / name
    if not (context / "Dockerfile").is_file():
        raise BenchmarkError(f"There is no image for {name}: {context}/Dockerfile is missing.")
    base = product_image("postgres")
    image = f"{PREFIX}/{name}:{image_tag(name, context, base).rpartition(':')[2]}"
    if not _there(image):
        _build(image, context, base)
    return image
