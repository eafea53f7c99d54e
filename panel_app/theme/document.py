"""The HTML document around a session, and the files that it needs; all of them local."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import panel as pn

from panel_app.components.view import styles
from panel_app.i18n import Language
from panel_app.i18n.en import EN
from panel_app.i18n.pt_br import PT_BR
from panel_app.theme.tokens import root_rule

_HERE = Path(__file__).parent
WEIGHTS = (400, 700)

ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 28 28">'
    '<rect width="28" height="28" rx="6" fill="#2e363b"/>'
    '<path d="M5.500 14a8.500 8.500 0 0 0 17 0z" fill="#b4bec4"/>'
    '<circle cx="14" cy="14" r="9" fill="none" stroke="#fff" stroke-width="1.800"/></svg>'
)


def font_file(weight: int) -> Path | None:
    """Roboto's Latin letters as panel-material-ui brings them; None where it does not.

    It is not imported: Panel then writes its 300 components' style sheets into every page's
    head, which takes longer than all the rest of a session's beginning.
    """
    found = find_spec("panel_material_ui")
    folders = [] if found is None else found.submodule_search_locations or []
    files = (Path(one) / "dist" for one in folders)
    pattern = f"roboto-latin-{weight}-normal-*.woff2"
    return next((file for folder in files for file in folder.glob(pattern)), None)


def document_files() -> dict[str, tuple[bytes, str]]:
    """The files that the document asks for: path to (body, content type)."""
    files = {"/steam/icon.svg": (ICON.encode(), "image/svg+xml")}
    for weight in WEIGHTS:
        path = font_file(weight)
        if path is not None:
            files[f"/steam/roboto-{weight}.woff2"] = (path.read_bytes(), "font/woff2")
    return files


def document_of(language: Language, roots: dict[str, Any]) -> pn.Template:
    """The document with the given roots, in its first language."""
    page = pn.Template((_HERE / "document.html").read_text(encoding="utf-8"))
    for name, root in roots.items():
        page.add_panel(name, root)
    variables = {
        "lang": language,
        "fonts": _font_rules(),
        "tokens": root_rule(),
        "styles": styles("document"),
        "loading_pt": PT_BR.loading,
        "loading_en": EN.loading,
        "disclaimer_pt": PT_BR.disclaimer,
        "disclaimer_en": EN.disclaimer,
    }
    for name, value in variables.items():
        page.add_variable(name, value)
    return page


def _font_rules() -> str:
    return "".join(
        "@font-face{font-family:Roboto;font-style:normal;font-display:swap;"
        f"font-weight:{weight};src:url(steam/roboto-{weight}.woff2) format('woff2')}}"
        for weight in WEIGHTS
        if font_file(weight) is not None
    )
