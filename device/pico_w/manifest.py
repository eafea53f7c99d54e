"""Freezes the firmware into MicroPython: `make BOARD=... FROZEN_MANIFEST=<this file>`.

It needs no flash and little memory there; updates still go into the slots, which come first.
The JSON files (register maps) cannot be frozen: copy those you use to /lib/steamlink/maps. A folder
/steamlink would hide the frozen package.
"""
# ruff: noqa: F821, INP001 - MicroPython's tools/manifestfile.py runs it and has the functions

import json

include("$(PORT_DIR)/boards/manifest.py")

with open("package.json") as listed:  # noqa: PTH123 - paths are relative to this file
    _SOURCES = [source for _, source in json.load(listed)["urls"] if source.endswith(".py")]

_PREFIX = "../steamlink/"
package(
    "steamlink",
    files=tuple(source[len(_PREFIX) :] for source in _SOURCES if source.startswith(_PREFIX)),
    base_path="..",
)
for _source in _SOURCES:
    if not _source.startswith(_PREFIX):
        module(_source)
