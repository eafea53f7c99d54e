"""Which of the firmware's files each board needs; `python -m device.package_lists` writes package.json.

package.json is for `mpremote mip install --target / device/esp32/package.json`: pairs of the name
on the board and the source, relative to package.json.
"""

import json
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
PACKAGE = HERE / "steamlink"

HAL = {
    "esp32": ("esp32", "micro"),
    "pico_w": ("rp2", "micro"),
    "pi": ("pi", "linux"),
    "unix": ("unix", "linux"),
}
"""The files of hal/ that a board needs beside the common ones: these, and those named `<it>_*`."""

FLASHED = ("esp32", "pico_w")
_OWN = {name for names in HAL.values() for name in names} | {"fake"}
_STARTERS = ("boot.py", "main.py")
_SUFFIXES = (".py", ".json")
_ELSEWHERE = {"codec.py"}
"""What no board imports: it is for the other side of the broker, and for tests."""


def files(board: str) -> Iterator[tuple[str, Path]]:
    """(name under `steamlink/`, file) of all that a board needs, in a fixed order."""
    for source in sorted(PACKAGE.rglob("*")):
        inside = source.relative_to(PACKAGE)
        if source.suffix not in _SUFFIXES or not source.is_file() or source.name in _ELSEWHERE:
            continue
        family = source.stem.partition("_")[0]
        if inside.parts[0] == "hal" and family in _OWN and family not in HAL[board]:
            continue
        yield inside.as_posix(), source


def package(board: str) -> str:
    """The text of a board's package.json."""
    urls = [[f"lib/steamlink/{name}", f"../steamlink/{name}"] for name, _ in files(board)]
    urls += [[name, name] for name in _STARTERS]
    return json.dumps({"urls": urls, "deps": [], "version": "0.1.0"}, indent=1) + "\n"


def main() -> None:
    """Write them."""
    for board in FLASHED:
        (HERE / board / "package.json").write_text(package(board), encoding="utf-8")


if __name__ == "__main__":
    main()
