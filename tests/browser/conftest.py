"""Which browser tests run by default: the one on the whole demo; `make test-dashboard` runs the rest."""

import os

collect_ignore = (
    []
    if os.environ.get("STEAM_TEST_DASHBOARD") == "1"
    else ["test_dashboard.py", "test_languages.py", "test_sessions.py"]
)
