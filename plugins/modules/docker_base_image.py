#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Provide the image that the node images are built on."""

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_base_image
short_description: Provide the image that the node images are built on
version_added: 0.1.0
description:
  - Uses the image when the Docker engine has it, else pulls it.
  - Where it cannot be pulled, makes a minimal Debian with C(mmdebstrap) and imports it under another name.
  - An image gets its name only when it is complete.
author:
  - The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
attributes:
  check_mode:
    support: full
    details: Says whether an image would be pulled or made.
  diff_mode:
    support: none
    details: An image has no readable difference.
requirements:
  - docker (Python package)
  - mmdebstrap, where the image cannot be pulled
options:
  name:
    description: The image to pull.
    type: str
    required: true
  fallback_name:
    description: Name of the image that is made where O(name) cannot be pulled.
    type: str
    default: relevo/base:trixie
  suite:
    description: The release of Debian that is made.
    type: str
    default: trixie
  pull_timeout:
    description: Seconds after which pulling is given up.
    type: int
    default: 300
  bootstrap_timeout:
    description: Seconds after which C(mmdebstrap) is given up.
    type: int
    default: 900
"""

EXAMPLES = r"""
- name: Provide the base image
  relevo.postgres.docker_base_image:
    name: debian:trixie-slim
  register: base
"""

RETURN = r"""
image:
  description: The image to build on.
  type: str
  returned: success
how:
  description: How it came to be there; C(missing) only in check mode.
  type: str
  returned: success
  sample: bootstrapped
  choices: [present, pulled, bootstrapped, missing]
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils._module import require_libraries, run_module
from ansible_collections.relevo.postgres.plugins.module_utils._nodes import container, container_image


def work(module: AnsibleModule) -> dict[str, Any]:
    given = module.params
    wanted = container_image.BaseImage(
        given["name"],
        given["fallback_name"],
        given["suite"],
        Path(module.tmpdir),
        given["pull_timeout"],
        given["bootstrap_timeout"],
    )
    client = container.connect()
    image = container_image.find(client, wanted)
    if image is not None:
        return {"changed": False, "image": image, "how": "present"}
    if module.check_mode:
        return {"changed": True, "image": given["name"], "how": "missing"}
    image, how = container_image.provide(client, wanted)
    return {"changed": True, "image": image, "how": how}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "fallback_name": {"type": "str", "default": "relevo/base:trixie"},
            "suite": {"type": "str", "default": "trixie"},
            "pull_timeout": {"type": "int", "default": 300},
            "bootstrap_timeout": {"type": "int", "default": 900},
        },
        supports_check_mode=True,
    )
    require_libraries(module, {"docker": container.DOCKER_IMPORT_ERROR})
    run_module(module, work)


if __name__ == "__main__":
    main()
