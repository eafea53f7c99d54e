"""What may know Panel, and what may not."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import panel_app

ROOT = Path(panel_app.__file__).parent
HEAVY = {"panel", "bokeh", "param", "tornado"}


@pytest.mark.parametrize("path", sorted((ROOT / "data").glob("*.py")), ids=lambda path: path.name)
def test_data_knows_no_panel(path):
    """Feeds, hub and history can be used and tested without the dashboard's library."""
    tree = ast.parse(path.read_text())
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }

    assert imported & HEAVY == set()


def test_feeds_are_imported_without_panel():
    """`steam` may wire a feed before it pays for the dashboard."""
    program = (
        "import sys; import panel_app.data.live_mqtt, panel_app.data.history; "
        "sys.exit(int(bool({'panel', 'bokeh'} & set(sys.modules))))"
    )

    assert (
        subprocess.run([sys.executable, "-c", program], check=False, cwd=ROOT.parent).returncode
        == 0
    )


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.js")), ids=lambda path: path.name)
def test_views_never_write_html(path):
    """Device text becomes text nodes only, and nothing is fetched from elsewhere."""
    text = path.read_text()

    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", text)
    assert not re.search(r"https?://(?!www\.w3\.org)|^\s*import\s", text, re.MULTILINE)


def test_no_page_uses_panels_periodic_callback():
    """It toggles the process-wide `busy` and patches every open page at every tick."""
    sources = "\n".join(path.read_text() for path in ROOT.rglob("*.py"))

    assert "pn.state.add_periodic_callback" not in sources
    assert "pn.pane.HTML" not in sources
    assert "pn.pane.Markdown" not in sources
