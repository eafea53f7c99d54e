"""The design tokens: the one place where a colour has a value.

Grey carries everything that is normal; the four priority colours are used for alarms and
for nothing else, and never without a shape, a number and a word (ISA-101, WCAG 2.2 1.4.1).
"""

LIGHT: dict[str, str] = {
    # surfaces, from back to front
    "page": "#dcdfe0",
    "tile": "#eceeee",
    "raised": "#f7f8f8",
    "rail": "#2e363b",
    "rail-hover": "#3b454b",
    "rail-active": "#4b565d",
    # lines
    "line": "#b9bfc2",
    "line-soft": "#d2d6d8",
    "line-strong": "#7d878d",
    # text, from most to least important
    "ink": "#1b2226",
    "ink-2": "#414b51",
    "ink-3": "#59636a",
    "on-rail": "#e9edee",
    "on-rail-2": "#b4bec4",
    # indicators
    "track": "#cdd2d4",
    "band": "#b3bbbf",
    "zone": "#bfc6c9",
    "water": "#a9b4ba",
    "metal": "#dfe2e3",
    "pen": "#4a555c",
    # priorities
    "p1": "#c8141e",
    "p2": "#ef7d00",
    "p3": "#f5c800",
    "p4": "#a2409f",
    "on-p1": "#ffffff",
    "on-p2": "#1b1200",
    "on-p3": "#1b1600",
    "on-p4": "#ffffff",
}
"""The light theme, for lit control rooms."""

PRIORITIES = (1, 2, 3, 4)


def root_rule(tokens: dict[str, str] = LIGHT) -> str:
    """The tokens as CSS variables of the document, from where every view inherits them."""
    lines = "".join(f"--{name}:{value};" for name, value in tokens.items())
    return f":root{{{lines}}}"


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two `#rrggbb` colours (WCAG 2.2, relative luminance)."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    knee = 0.04045
    linear = [part / 12.92 if part <= knee else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
