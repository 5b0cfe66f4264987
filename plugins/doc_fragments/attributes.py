# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each module says about check mode, diff mode and where it runs.

Every module extends ``relevo.postgres.attributes``, and one that only reads
``relevo.postgres.attributes.info_module`` as well.
"""

from __future__ import annotations


class ModuleDocFragment:
    # A module adds the support, and as details what it can say.
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode, and then says what would be done and changes nothing.
  diff_mode:
    description: Shows what changes, or in check mode what would change, when run with C(--diff).
  platform:
    description: Where the module runs.
    details: Tested on Debian 13.
    support: full
    platforms: posix
"""

    INFO_MODULE = r"""
options: {}
attributes:
  check_mode:
    support: full
    details: The module only reads.
  diff_mode:
    support: N/A
    details: The module only reads.
"""

    ACTION = r"""
options: {}
attributes:
  action:
    description: Has an action plugin of the same name, which runs on the controller.
    support: full
"""
