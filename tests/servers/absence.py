"""What a test run goes without: skipped loudly at home, a failure in continuous integration."""

import os
from collections.abc import Iterable
from typing import NoReturn

import pytest

_MARK = "NOT TESTED: "


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
    pytest.skip(f"{_MARK}{text}")


def missing(skipped: Iterable[pytest.TestReport | pytest.CollectReport]) -> list[str]:
    """Return what a run went without, sorted, as its skipped tests say."""
    reasons = (report.longrepr[2] for report in skipped if isinstance(report.longrepr, tuple))
    return sorted({reason.split(_MARK, 1)[1] for reason in reasons if _MARK in reason})
