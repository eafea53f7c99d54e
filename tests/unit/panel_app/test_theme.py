"""The palette: readable, and grey where nothing is wrong."""

import pytest

from panel_app.theme.tokens import LIGHT, PRIORITIES, contrast, root_rule

TEXT = [("ink", 7.0), ("ink-2", 4.5), ("ink-3", 4.5)]


@pytest.mark.parametrize("surface", ["page", "tile", "raised"])
@pytest.mark.parametrize(("text", "least"), TEXT)
def test_text_is_readable_on_every_surface(surface, text, least):
    """WCAG 2.2 1.4.3: 4.5 to 1, for what matters 7 to 1."""
    assert contrast(LIGHT[text], LIGHT[surface]) >= least


@pytest.mark.parametrize(
    ("text", "surface"),
    [
        ("on-rail", "rail"),
        ("on-rail", "rail-hover"),
        ("on-rail", "rail-active"),
        ("on-rail-2", "rail"),
        ("on-rail-2", "rail-hover"),
    ],
)
def test_rail_is_readable(text, surface):
    """Also where the pointer is, and on the chosen page."""
    assert contrast(LIGHT[text], LIGHT[surface]) >= 4.5


@pytest.mark.parametrize("priority", PRIORITIES)
def test_digit_of_a_glyph_is_readable(priority):
    """The number in the shape: 4.5 to 1."""
    assert contrast(LIGHT[f"on-p{priority}"], LIGHT[f"p{priority}"]) >= 4.5


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in LIGHT
        if name not in ("p1", "p2", "p3", "p4") and not name.startswith("on-p")
    ],
)
def test_everything_but_the_priorities_is_grey(name):
    """Colour is for alarms and for nothing else (ISA-101)."""
    parts = [int(LIGHT[name][at : at + 2], 16) for at in (1, 3, 5)]

    assert max(parts) - min(parts) <= 24


def test_tokens_are_variables_of_the_document():
    """Every view inherits them through its shadow root."""
    assert root_rule({"ink": "#1b2226"}) == ":root{--ink:#1b2226;}"
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
