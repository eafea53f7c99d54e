"""Runs every bench: `python -m tests.bench [NAME ...]`."""

import subprocess
import sys

BENCHES = ("evaluation", "ranges", "pipeline", "telegraf")


def main() -> None:
    """Run the named benches, or all, each in a process of its own."""
    for name in sys.argv[1:] or BENCHES:
        print(f"== {name}", flush=True)
        subprocess.run([sys.executable, "-m", f"tests.bench.bench_{name}"], check=True)


main()
