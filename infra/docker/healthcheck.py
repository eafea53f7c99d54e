"""Ask an address whether it is well: exit code 0 for an answer of 200, else 1."""

import sys
import urllib.request

try:
    with urllib.request.urlopen(sys.argv[1], timeout=2) as answer:  # noqa: S310 - given in the image
        sys.exit(answer.status != 200)  # noqa: PLR2004
except OSError as error:
    sys.exit(f"{sys.argv[1]}: {error}")
