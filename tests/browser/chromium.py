"""How Chromium is started: headless, without any request of its own."""

import os
import shutil

ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium_path() -> str:
    """The machine's Chromium: STEAM_TEST_CHROMIUM, or the one on the path."""
    found = os.environ.get("STEAM_TEST_CHROMIUM") or shutil.which("chromium")
    if found is None:
        raise SystemExit("no chromium; on Debian: apt-get install chromium")
    return found
