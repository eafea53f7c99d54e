"""Edits plant.yaml as a person would: a few lines change, every comment and blank line stays.

ruamel.yaml says where the entries are; the text itself is cut and joined, because writing the
whole tree anew moves the comment behind a removed entry and rewraps what nobody touched.
"""

import difflib
import json
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode

from bridge.edited_file import locked, replace_text
from bridge.plant import Device, Plant, load_plant, parse_plant
from bridge.settings_file import Fault, SettingsError, nearest

_INDENT = "  "


class PlantEditFault(Exception):
    """plant.yaml cannot be edited as asked; the text says why and what to do."""


class PlantEdit(msgspec.Struct, frozen=True, kw_only=True):
    """An edit of plant.yaml: its text before and after, the plant after it, a unified diff."""

    path: Path
    before: str
    after: str
    plant: Plant
    diff: str


Change = Callable[[str, Plant, Path], tuple[str, list[Device]]]
"""Makes from plant.yaml (text, plant, path) its new text and the devices that are then in it."""


def plan_edit(path: Path, change: Change) -> PlantEdit:
    """What `change` would make of plant.yaml, checked; nothing is written.

    Raises SettingsError where the file, before or after, is no plant.yaml, and PlantEditFault.
    """
    before = _text(path)
    after, devices = change(before, parse_plant(before, path), path)
    try:
        plant = parse_plant(after, path)
    except SettingsError as error:
        raise SettingsError([_asked(fault) for fault in error.faults]) from None
    if plant.file.devices != devices:
        raise PlantEditFault(f"{path} is laid out so that Steam cannot edit it; edit it by hand")
    lines = difflib.unified_diff(
        before.splitlines(keepends=True),
        after.splitlines(keepends=True),
        fromfile=str(path),
        tofile=str(path),
    )
    return PlantEdit(path=path, before=before, after=after, plant=plant, diff="".join(lines))


def write_edit(edit: PlantEdit) -> None:
    """Write plant.yaml whole or not at all, one program at a time; raises PlantEditFault."""
    real = edit.path.resolve()
    try:
        with locked(real):
            if _text(edit.path) != edit.before:
                raise PlantEditFault(f"{edit.path} was changed by somebody meanwhile; try again")
            replace_text(real, edit.after)
    except OSError as error:
        raise PlantEditFault(
            f"{edit.path} cannot be written ({error.strerror}); change these lines where it comes "
            f"from:\n{edit.diff}"
        ) from None


def with_device(device: Device) -> Change:
    """The change that registers a device, behind the last one."""

    def change(text: str, plant: Plant, path: Path) -> tuple[str, list[Device]]:
        if device.name in plant.devices:
            raise PlantEditFault(f"{path} has a device {device.name!r} already")
        after = _PlantText(text, path).appended(list(_entry(device)))
        return after, [*plant.file.devices, device]

    return change


def without_device(name: str, on: date) -> Change:
    """The change that removes a device; a comment in its place says since when."""

    def change(text: str, plant: Plant, path: Path) -> tuple[str, list[Device]]:
        gone = plant.devices.get(name)
        if gone is None:
            raise PlantEditFault(f"{path} has no device {name!r}{nearest(name, plant.devices)}")
        devices = plant.file.devices
        index = devices.index(gone)
        note = (
            f"# revoked {on.isoformat()}: device {name} of site {gone.site}, boiler {gone.boiler}"
        )
        after = _PlantText(text, path).removed(index, note)
        return after, [*devices[:index], *devices[index + 1 :]]

    return change


def _text(path: Path) -> str:
    """The file's text with its own line ends; a file that cannot be read is told as `load_plant` does."""
    try:
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError):
        load_plant(path)
        raise


def _asked(fault: Fault) -> Fault:
    """A fault of the text that would be written: its line exists nowhere yet."""
    return Fault(fault.path, None, f"would be wrong after this change: {fault.text}")


def _entry(device: Device) -> Iterator[str]:
    """The lines of a device's entry, without indentation."""
    pairs = [("name", device.name), ("site", device.site), ("boiler", device.boiler)]
    if device.board:
        pairs.append(("board", device.board))
    for index, (key, value) in enumerate(pairs):
        yield f"{_INDENT if index else '- '}{key}: {_scalar(value)}"
    if device.since is not None:
        yield f"{_INDENT}since: {device.since.isoformat()}"


def _scalar(value: str) -> str:
    """A string as YAML reads it back: bare where that is safe (not `no`, `1e3`, `a: b`)."""
    bare = value and all(character.isalnum() or character in "_-" for character in value)
    if bare and YAML(typ="safe", pure=True).load(value) == value:
        return value
    return json.dumps(value, ensure_ascii=False)


class _PlantText:
    """The text of plant.yaml and where in it the list of devices is."""

    def __init__(self, text: str, path: Path) -> None:
        self._newline = "\r\n" if "\r\n" in text else "\n"
        self._lines = text.splitlines()
        self._path = path
        root = YAML(typ="rt").compose(text)
        if not isinstance(root, MappingNode) or root.flow_style:
            raise self._fault()
        self._key: ScalarNode | None = None
        self._items: list[Node] = []
        for key, value in root.value:
            if key.value == "devices":
                self._take(key, value)

    def _take(self, key: ScalarNode, value: Node) -> None:
        if not isinstance(value, SequenceNode) or (value.flow_style and value.value):
            raise self._fault()
        self._key, self._items = key, value.value
        if value.flow_style:
            self._empty_from, self._empty_to = value.start_mark, value.end_mark

    def appended(self, entry: list[str]) -> str:
        """The text with one more entry."""
        lines = list(self._lines)
        if self._key is None:
            at, indent = len(lines), _INDENT
            entry = ["devices:", *(f"{indent}{line}" for line in entry)]
        elif not self._items:
            at, indent = self._empty_to.line + 1, _INDENT
            entry = [f"{indent}{line}" for line in entry]
            self._cut_empty(lines)
        else:
            at = self._behind_comments(len(self._items) - 1)
            indent = " " * self._dash_column(len(self._items) - 1)
            entry = [f"{indent}{line}" for line in entry]
        lines[at:at] = entry
        return self._joined(lines)

    def removed(self, index: int, note: str) -> str:
        """The text with the note in place of one entry."""
        lines = list(self._lines)
        indent = " " * self._dash_column(index)
        lines[self._dash_line(index) : self._end(index)] = [f"{indent}{note}"]
        if len(self._items) == 1 and self._key is not None:
            line, column = self._key.end_mark.line, self._key.end_mark.column
            colon = lines[line].index(":", column) + 1
            lines[line] = f"{lines[line][:colon]} []{lines[line][colon:]}"
        return self._joined(lines)

    def _cut_empty(self, lines: list[str]) -> None:
        """Take the `[]` away."""
        start, end = self._empty_from, self._empty_to
        if start.line != end.line:
            raise self._fault()
        head, tail = lines[start.line][: start.column], lines[start.line][end.column :]
        lines[start.line] = f"{head.rstrip()}{tail}"

    def _dash_line(self, index: int) -> int:
        """The line of an entry's dash, which may stand alone above it."""
        line = self._items[index].start_mark.line
        while not self._lines[line].lstrip().startswith("-"):
            line -= 1
        return int(line)

    def _dash_column(self, index: int) -> int:
        line = self._lines[self._dash_line(index)]
        return len(line) - len(line.lstrip())

    def _end(self, index: int) -> int:
        """The line behind an entry's last line that is neither blank nor a comment."""
        following = self._items[index + 1 : index + 2]
        line = int(
            following[0].start_mark.line if following else _last_line(self._items[index]) + 1
        )
        if following:
            line = self._dash_line(index + 1)
        while not self._lines[line - 1].strip() or self._lines[line - 1].lstrip().startswith("#"):
            line -= 1
        return line

    def _behind_comments(self, index: int) -> int:
        """The line behind an entry and the comments after it that are indented as part of it."""
        line, column = self._end(index), self._dash_column(index)
        for text in self._lines[line:]:
            if not text.lstrip().startswith("#") or len(text) - len(text.lstrip()) <= column:
                break
            line += 1
        return line

    def _joined(self, lines: list[str]) -> str:
        return self._newline.join([*lines, ""])

    def _fault(self) -> PlantEditFault:
        return PlantEditFault(
            f"{self._path}: the devices are not written as a list with one `- name:` each; write them "
            "so, or edit the file by hand"
        )


def _last_line(node: Node) -> int:
    """The last line on which something of a node stands."""
    if not isinstance(node, CollectionNode) or node.flow_style:
        end = node.end_mark
        return int(end.line if end.column or end.line == node.start_mark.line else end.line - 1)
    children = node.value if isinstance(node, SequenceNode) else [n for p in node.value for n in p]
    return max(int(node.start_mark.line), *map(_last_line, children))
