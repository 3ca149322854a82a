"""``python -m osssync`` and the ``osssync`` command: nothing but the way into the command line."""

import sys

from osssync.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
