"""Typed YAML files whose every fault is told with its line and the nearest valid name."""

import difflib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import Enum
from pathlib import Path
from types import NoneType
from typing import Any, Literal, TypeVar, get_args, get_origin

import msgspec
from msgspec.structs import fields
from ruamel.yaml import YAML
from ruamel.yaml.constructor import ConstructorError, SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import Node

T = TypeVar("T")
Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong in a file, and where."""

    path: str
    line: int | None
    text: str

    def __str__(self) -> str:
        place = self.path if self.line is None else f"{self.path}:{self.line}"
        return f"{place}: {self.text}"


class SettingsError(Exception):
    """A settings file cannot be used; `faults` says everything that is wrong in it."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults


class SettingsFile:
    """A YAML file read once: its tree, and the line of every place in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tree: Any = None
        self._text = ""
        self._marked: Any = None

    def read(self) -> "SettingsFile":
        """Parse the file; raises SettingsError where it is absent or not YAML."""
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise self._error(None, "no such file; `steam check --help` shows examples") from None
        except (OSError, UnicodeDecodeError) as error:
            raise self._error(None, f"cannot be read: {error}") from None
        return self.parse(text)

    def parse(self, text: str) -> "SettingsFile":
        """Parse `text` as this file's content; raises SettingsError where it is not YAML."""
        reader = YAML(typ="safe", pure=True)
        reader.Constructor = _Constructor
        try:
            tree = _with_midnights(reader.load(text))
        except MarkedYAMLError as error:
            mark = error.problem_mark
            line = None if mark is None else mark.line + 1
            raise self._error(line, f"not YAML: {error.problem}") from None
        except YAMLError as error:
            raise self._error(_line_of_control(text), f"not YAML: {error}") from None
        except RecursionError:
            raise self._error(None, "nested too deeply, or an alias holds itself") from None
        self._text, self._marked = text, None
        self.tree = {} if tree is None else tree
        if not isinstance(self.tree, dict):
            raise self._error(1, "the file must be a mapping with keys")
        return self

    def decode(self, kind: type[T]) -> T:
        """Convert the tree to `kind`, refusing unknown keys; raises SettingsError."""
        faults = list(self._faults(self.tree, kind, ()))
        if faults:
            raise SettingsError(faults)
        try:
            return msgspec.convert(self.tree, kind)
        except msgspec.ValidationError as error:
            raise self._error(None, str(error)) from None

    def _faults(self, node: Any, kind: Any, place: Place) -> Iterator[Fault]:
        kind = _without_none(kind, node)
        origin = get_origin(kind)
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            yield from self._struct_faults(node, kind, place)
        elif origin in (list, tuple) and isinstance(node, list):
            wanted = len(get_args(kind))
            if origin is tuple and Ellipsis not in get_args(kind) and len(node) != wanted:
                yield self.fault(place, f"{_name(place)} needs {wanted} values, not {len(node)}")
            for index, child in enumerate(node):
                yield from self._faults(child, get_args(kind)[0], (*place, index))
        elif origin is dict and isinstance(node, dict):
            for key, child in node.items():
                if not isinstance(key, str):
                    yield self.fault((*place, key), f"the key {key!r} is no text; quote it")
                yield from self._faults(child, get_args(kind)[1], (*place, key))
        else:
            yield from self._leaf_faults(node, kind, place)

    def _struct_faults(
        self, node: Any, kind: type[msgspec.Struct], place: Place
    ) -> Iterator[Fault]:
        if not isinstance(node, dict):
            yield self.fault(place, f"{_name(place)} must be a mapping with keys")
            return
        known = {field.encode_name: field for field in fields(kind)}
        for key, child in node.items():
            if key in known:
                yield from self._faults(child, known[key].type, (*place, key))
            else:
                yield self.fault((*place, key), f"unknown key {key!r}{nearest(str(key), known)}")
        for name, field in known.items():
            if field.required and name not in node:
                yield self.fault(place, f"{_name(place)} needs the key {name!r}")

    def _leaf_faults(self, node: Any, kind: Any, place: Place) -> Iterator[Fault]:
        if isinstance(node, float) and not math.isfinite(node):
            yield self.fault(place, f"{_name(place)}: {node} is no number to work with")
            return
        try:
            msgspec.convert(node, kind)
        except msgspec.ValidationError as error:
            choices = _choices(kind)
            if choices and isinstance(node, str):
                text = f"{node!r} is none of {', '.join(choices)}{nearest(node, choices)}"
            else:
                text = str(error).split(" - at `")[0]
                text = text[:1].lower() + text[1:]
            yield self.fault(place, f"{_name(place)}: {text}")

    def fault(self, place: Place, text: str) -> Fault:
        """A fault at a place of the tree, such as ("boilers", 0, "pmta_bar")."""
        return Fault(str(self.path), self.line_of(place), text)

    def line_of(self, place: Place) -> int | None:
        """The line (from 1) of a place in the tree; its nearest parent's where unknown."""
        if self._marked is None:
            # Read once more only where a fault is told: it takes as long as reading.
            self._marked = YAML(typ="rt").load(self._text)
        line, node = 1, self._marked
        for step in place:
            marks = getattr(node, "lc", None)
            if marks is None or marks.data is None or step not in marks.data:
                return line
            line = marks.data[step][0] + 1
            node = node[step]
        return line

    def _error(self, line: int | None, text: str) -> SettingsError:
        return SettingsError([Fault(str(self.path), line, text)])


class _Constructor(SafeConstructor):
    """Tells the line of a scalar that its tag or form does not allow, such as 2024-02-30."""

    def construct_object(self, node: Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, TypeError) as error:
            raise ConstructorError(None, None, str(error), node.start_mark) from None


def nearest(name: str, valid: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the valid name nearest to `name`, or nothing."""
    close = difflib.get_close_matches(name, list(valid), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def _without_none(kind: Any, node: Any) -> Any:
    """The one struct or list that `X | None` stands for, where a value is given."""
    choices = [choice for choice in get_args(kind) if choice is not NoneType]
    optional = NoneType in get_args(kind) and len(choices) == 1
    return choices[0] if optional and node is not None else kind


def _choices(kind: Any) -> list[str]:
    """The texts that an enumeration or a Literal allows; none for any other kind."""
    if get_origin(kind) is Literal:
        return [str(choice) for choice in get_args(kind)]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return [str(member.value) for member in kind]
    return []


def _name(place: Place) -> str:
    return ".".join(str(step) for step in place) or "the file"


def _line_of_control(text: str) -> int | None:
    """The line of the first control character, which YAML does not allow."""
    for number, line in enumerate(text.split("\n"), 1):
        if any(not each.isprintable() and each not in "\t\r\ufeff" for each in line):
            return number
    return None


def _with_midnights(node: Any) -> Any:
    """The tree with each bare date as that day's first instant, as people mean it."""
    if isinstance(node, dict):
        return {key: _with_midnights(child) for key, child in node.items()}
    if isinstance(node, list):
        return [_with_midnights(child) for child in node]
    if isinstance(node, date) and not isinstance(node, datetime):
        return datetime(node.year, node.month, node.day, tzinfo=UTC)
    return node
