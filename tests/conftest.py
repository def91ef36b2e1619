"""Lets tests import the helpers that lie beside them by name."""

from __future__ import annotations

import sys
from pathlib import Path

for folder in ("e2e", "corpus", "unit"):
    sys.path.insert(0, str(Path(__file__).parent / folder))
