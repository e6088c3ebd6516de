"""``python3 -m infrawatch_local VERB``; see ``--help``."""

import sys

# Before any other import: an older Python would stop at their syntax, with a message that helps nobody.
if sys.version_info < (3, 11):  # noqa: UP036 - this line is read by the interpreter that is too old
    sys.exit("infrawatch: Python 3.11 or newer is needed, this is {}.{}".format(*sys.version_info[:2]))

from infrawatch_local.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
