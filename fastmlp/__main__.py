"""`python -m fastmlp` runs the command line, as the command `fastmlp` does."""

import sys

from fastmlp.cli import main

if __name__ == "__main__":
    sys.exit(main())
