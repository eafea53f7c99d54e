"""What a test run goes without: skipped loudly at home, a failure in continuous integration."""

import os
from typing import NoReturn

import pytest

_missing: set[str] = set()


def go_without(text: str) -> NoReturn:
    """Skip the test that needs what `text` names; with CI=true fail it, as nobody reads the skips of a green build.

    Raises:
        pytest.skip.Exception: at home.
        pytest.fail.Exception: with CI=true.
    """
    if os.environ.get("CI", "").lower() in {"true", "1"}:
        pytest.fail(text, pytrace=False)
    skip_aloud(text)


def skip_aloud(text: str) -> NoReturn:
    """Skip the test and say `text` once more at the end of the run.

    Raises:
        pytest.skip.Exception: always.
    """
    _missing.add(text)
    pytest.skip(text)


def missing() -> list[str]:
    """Return what this run went without, sorted."""
    return sorted(_missing)
