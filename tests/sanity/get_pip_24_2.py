"""Give ansible-test the pip that Python itself carries.

ansible-test looks for a file of this name in its cache before it downloads one from its own host, which a closed
network refuses. The name holds the version of pip that ansible-core 2.19 asks for.
"""

from __future__ import annotations

import ensurepip

ensurepip.bootstrap()
