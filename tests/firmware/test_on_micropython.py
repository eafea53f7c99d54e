"""Every test of tests/firmware/both, which CPython runs as it is, on the MicroPython interpreter."""

from pathlib import Path

import pytest

from tests.firmware import micropython
from tests.servers.absence import go_without

FILES = sorted((Path(__file__).parent / "both").glob("test_*.py"))
SUITE = Path(__file__).with_name("suite.py")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_firmware_on_micropython_passes_its_own_tests(file):
    """The interpreter of the boards runs all tests of the file, and none fails."""
    if not (micropython.LIB / "unittest.py").exists():
        go_without("no unittest for MicroPython: tests/firmware/install build/firmware-lib")

    printed = micropython.run(SUITE, file.stem)

    assert printed.count(" ok\n") + printed.count(" skipped:") == file.read_text(
        encoding="utf-8"
    ).count("    def test_")
