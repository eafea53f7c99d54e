"""From a register map to questions and points: loaded while a driver is made, then forgotten."""

import json
import os

from .. import contract, modbus  # noqa: TID252 - a board's package has another name
from ..constant import const  # noqa: TID252 - a board's package has another name
from ._making import numeric
from .modbus import Point, Poll

_VERSION = const(1)
_MOST_ADDRESSES = const(0x10000)
_PAIR = const(2)
_BITS = const(("coil", "discrete"))
# Words of 16 bits of each type, and how struct reads them.
_TYPES = {
    "bit": (1, ""),
    "u16": (1, ""),
    "s16": (1, ">h"),
    "u32": (2, ">I"),
    "s32": (2, ">i"),
    "f32": (2, ">f"),
}
_KEYS = const(
    (
        "metric",
        "unit",
        "decimals",
        "low",
        "high",
        "table",
        "address",
        "type",
        "scale",
        "offset",
        "absent",
        "failed",
        "bits",
        "values",
        "note",
    )
)


def load(name, metrics):
    """The points of a map (a name in maps/, or a map), and the questions that carry them.

    `metrics` renames points or leaves them out. ValueError says what is wrong with the map.
    """
    plan = _plan(name)
    if not isinstance(metrics, dict):
        raise ValueError("metrics {!r}: an object by metric of the map".format(metrics))  # noqa: TRY004 - one error type
    points = []
    for described in plan["points"]:
        metric = described.get("metric")
        if metrics.get(metric, True):
            point = _point(described, plan)
            point.name = metrics.get(metric) or metric
            points.append(point)
    known = [described.get("metric") for described in plan["points"]]
    for metric in metrics:
        if metric not in known:
            raise ValueError("metrics: the map has no {!r}".format(metric))
    return points, _polls(points, plan.get("gap", 0), plan.get("block", 60))


def _plan(name):
    if isinstance(name, dict):
        plan = name
    else:
        if not contract.is_name(name):
            raise ValueError("map {!r} is no name of a file in maps/".format(name))
        path = _maps() + "/" + name + ".json"
        try:
            with open(path) as file:
                plan = json.load(file)
        except OSError:
            raise ValueError("map {!r}: there is no {}".format(name, path)) from None
        except ValueError:
            raise ValueError("map {!r}: {} is not JSON".format(name, path)) from None
    if not isinstance(plan, dict) or plan.get("v") != _VERSION or not plan.get("points"):
        raise ValueError("map {!r}: no points, or not of version 1".format(name))
    if plan.get("word_order", "big") not in ("big", "little"):
        raise ValueError("map {!r}: word_order is big or little".format(name))
    if not _is_list_of(plan["points"], dict):
        raise ValueError("map {!r}: points is a list of objects".format(name))
    for key in ("base", "gap", "block"):
        numeric("map: " + key, plan.get(key, 0), 0, whole=True)
    return plan


def _maps():
    folder = __file__.rsplit("/", 2)[0] + "/maps"
    try:
        os.stat(folder)
    except OSError:
        return "/lib/steamlink/maps"  # frozen: there is no folder beside the code
    return folder


def _point(described, plan):
    metric = described.get("metric")
    for key in sorted(described):
        if key not in _KEYS:
            raise ValueError("map: {}: key {!r} is unknown".format(metric, key))
    if not contract.is_metric_name(metric):
        raise ValueError("map: metric {!r} is no name".format(metric))
    point = Point()
    point.table = described.get("table", "holding")
    kind = described.get("type", "bit" if point.table in _BITS else "u16")
    if point.table not in modbus.TABLES or kind not in _TYPES:
        raise ValueError(
            "map: {}: table {!r}, type {!r}: tables {}; types {}".format(
                metric,
                point.table,
                kind,
                ", ".join(sorted(modbus.TABLES)),
                ", ".join(sorted(_TYPES)),
            )
        )
    point.size, point.format = _TYPES[kind]
    where = "map: {}: ".format(metric)
    point.first = numeric(where + "address", described.get("address"), whole=True)
    point.first -= plan.get("base", 0)
    if not 0 <= point.first <= _MOST_ADDRESSES - point.size:
        raise ValueError("map: {}: address is outside the table".format(metric))
    point.swap = plan.get("word_order", "big") == "little"
    point.unit = described.get("unit", "")
    point.decimals = described.get("decimals", 0)
    point.low = described.get("low")
    point.high = described.get("high")
    point.scale = numeric(where + "scale", described.get("scale", 1))
    point.offset = numeric(where + "offset", described.get("offset", 0))
    point.absent = _patterns(where + "absent", described.get("absent", ()))
    point.failed = _patterns(where + "failed", described.get("failed", ()))
    point.bits = described.get("bits")
    if point.bits is not None and len(_patterns(where + "bits", point.bits)) != _PAIR:
        raise ValueError("{}bits {!r}: [first, count]".format(where, point.bits))
    point.values = described.get("values")
    if point.values is not None:
        _check_values(where + "values", point.values)
    return point


def _patterns(where, patterns):
    if not isinstance(patterns, (list, tuple)):
        raise ValueError("{} {!r}: a list of whole numbers".format(where, patterns))  # noqa: TRY004 - one error type
    for pattern in patterns:
        numeric(where, pattern, 0, whole=True)
    return patterns


def _check_values(where, pairs):
    if not _is_list_of(pairs, (list, tuple)) or any(len(pair) != _PAIR for pair in pairs):
        raise ValueError("{} {!r}: a list of pairs [raw, value]".format(where, pairs))
    for pair in pairs:
        for side in pair:
            numeric(where, side)


def _is_list_of(items, kind):
    return isinstance(items, (list, tuple)) and all(isinstance(item, kind) for item in items)


def _polls(points, gap, block):
    """As few questions as the map allows: over holes up to `gap`, at most `block` values each."""
    polls = []
    for table in sorted(modbus.TABLES):
        most = modbus.MOST_BITS if table in _BITS else modbus.MOST_REGISTERS
        poll = None
        for point in sorted([p for p in points if p.table == table], key=lambda p: p.first):
            end = point.first + point.size
            if (
                poll is None
                or point.first > poll.first + poll.count + gap
                or end - poll.first > min(block, most)
            ):
                poll = Poll(table, point.first)
                polls.append(poll)
            poll.points.append(point)
            poll.count = max(poll.count, end - poll.first)
    return polls
