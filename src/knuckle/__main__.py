"""The command ``knuckle``, also as ``python -m knuckle``."""

import sys


def main() -> int:
    """Run the command line; an interrupt while its modules load is no error either."""
    try:
        from knuckle.cli import main as run

        return run()
    except KeyboardInterrupt:
        print("knuckle: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
