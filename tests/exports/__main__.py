"""Write one made-up export: `.venv/bin/python -m tests.exports infinite_campus FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.exports.systems import SYSTEMS
from tests.exports.world import world

if len(sys.argv) != 3 or sys.argv[1] not in SYSTEMS:
    sys.exit(f"usage: python -m tests.exports {'|'.join(SYSTEMS)} FOLDER")
SYSTEMS[sys.argv[1]](world(), Path(sys.argv[2]))
