"""``python -m knuckle``: the same as the command ``knuckle``."""

import sys

from knuckle.cli import main

sys.exit(main())
