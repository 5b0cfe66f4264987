"""Make the collection importable by its full name from a plain checkout."""

from __future__ import annotations

import sys
from pathlib import Path

COLLECTIONS = Path(__file__).resolve().parents[2] / "collections"
sys.path.insert(0, str(COLLECTIONS))
