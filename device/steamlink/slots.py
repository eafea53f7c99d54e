"""Two folders for the firmware, `a` and `b`, and which of them starts.

The firmware that was installed by hand lies flat (in `/lib` on a board) and stays there as
the last resort. An update goes into a slot that is not in use, with a mark `a.ok` or `b.ok`
beside the folder once it is whole, then boots on trial; three trial boots that nobody
confirmed put the old one back. One that was confirmed and starts no longer, such as a damaged
one, gives way to what is left: whoever starts it adds a byte to `a.fails` or `b.fails` when it
raises. boot.py imports this file before anything else: few imports.
"""

import os
import sys

TYPE_CHECKING = False  # MicroPython has no typing
if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = ("a", "b")
TRIAL_BOOTS = 3
MOST_FAILS = 8  # safe mode comes first, after 5, and ends in ten minutes: the rest is a second try
_RUNS = ("", "a", "b")
_DIRECTORY = 0x4000
_FAILS = ".fails"
_FLASH_BLOCK = 4096
_NAME_BYTES = 512


def enter(folder: str) -> str:
    """Choose the firmware and put it first on `sys.path`; its path, or "" where it lies flat.

    For boot.py. Whatever of the package is loaded already is forgotten, so that the next
    import takes the chosen one. Never raises.
    """
    chosen = choose(folder)
    if chosen:
        sys.path.insert(0, chosen)
        package = __name__[: -len(".slots")]
        for name in list(sys.modules):
            if name == package or name.startswith(package + "."):
                del sys.modules[name]
    return chosen


def choose(folder: str) -> str:
    """Count a trial boot and tell which folder holds the firmware to start; "" where it lies flat.

    Never raises: what cannot be read or written ends in a slot that is whole, else in "".
    """
    try:
        name = _choose(folder)
    except Exception:  # noqa: BLE001 - a board that does not start is worse than any fault
        name = _any_whole(folder)
    return place(folder, name) if name else ""


def running(folder: str) -> str:
    """The slot that this firmware was started from, "" where it lies flat."""
    for name in NAMES:
        if place(folder, name) in sys.path:
            return name
    return ""


def place(folder: str, name: str) -> str:
    """Where a slot's files lie."""
    return folder.rstrip("/") + "/" + name


def status(folder: str) -> dict:
    """What is kept: `run`, `trial` (None or a slot), `tries`, and `failed` (the last that did).

    None in it means unknown: nothing was ever written, or all of it is lost.
    """
    kept = _copies(folder).load()
    state = kept[1] if kept else {}
    trial = state.get("trial")
    failed = state.get("failed")
    tries = state.get("tries")
    return {
        "run": state.get("run") if state.get("run") in _RUNS else None,
        "trial": trial if trial in NAMES else None,
        "tries": tries if isinstance(tries, int) and tries >= 0 else 0,
        "failed": failed if failed in NAMES else None,
    }


def on_trial(folder: str) -> bool:
    """Whether the firmware that is running has yet to prove itself."""
    return running(folder) == status(folder)["trial"]


def confirm(folder: str) -> bool:
    """Keep the firmware that is running, if it is the one on trial; True if that was news."""
    if not on_trial(folder):
        return False
    _save(folder, running(folder), None)
    return True


def blame(path: str) -> None:
    """Count that the firmware in `path`, a slot's or "", raised; main.py of a board does the same."""
    if path:
        try:
            with open(path + _FAILS, "a") as file:
                file.write(".")
        except OSError:
            return


def settled(folder: str) -> None:
    """The firmware that is running has measured for a while: what it failed before is forgotten."""
    name = running(folder)
    if name and _fails(folder, name):
        os.remove(place(folder, name) + _FAILS)


def take_failure(folder: str) -> "str | None":
    """The slot whose trial failed since this was last asked, to be told once."""
    state = status(folder)
    if state["failed"] is not None:
        _save(folder, state["run"], state["trial"], state["tries"])
    return state["failed"]


def idle(folder: str) -> str:
    """The slot that an update may overwrite; ValueError while an earlier one is on trial."""
    state = status(folder)
    if state["trial"] is not None:
        raise ValueError(
            "slot {} is on trial: wait until it is confirmed, or restart {} times".format(
                state["trial"], TRIAL_BOOTS
            )
        )
    used = running(folder) or state["run"]
    return "b" if used == "a" else "a"


def emptying(folder: str, name: str) -> "Iterator[None]":
    """Remove what a slot holds, its mark first: one file at each step of this iterator.

    So that whoever waits gets a turn between. OSError where the file system refuses.
    """
    inside = place(folder, name)
    for path in (_mark(folder, name), inside + _FAILS, inside):
        for _ in _removing(path):
            yield


def held(folder: str, name: str) -> int:
    """About how many bytes of flash `emptying` a slot gives back, as littlefs stores files."""
    return _size(place(folder, name))


def _size(path: str) -> int:
    try:
        facts = os.stat(path)
    except OSError:
        return 0  # it is not there
    if facts[0] & _DIRECTORY:
        inside = [_size(path + "/" + name) for name in os.listdir(path)]
        return 2 * _FLASH_BLOCK + sum(inside)
    return -(-facts[6] // _FLASH_BLOCK) * _FLASH_BLOCK + _NAME_BYTES


def stage(folder: str, name: str) -> None:
    """Mark a slot as whole and let it boot on trial; OSError leaves the old one in force."""
    run = running(folder) or status(folder)["run"] or ""
    if name == run:
        raise ValueError("slot {} is in use; an update goes into the other".format(name))
    from .copies import settle

    with open(_mark(folder, name), "w") as file:
        file.write("whole\n")
        settle(file)
    _save(folder, run, name)


def _choose(folder: str) -> str:
    state = status(folder)
    run, trial = state["run"], state["trial"]
    if run is None:
        return _choose_unknown(folder)
    if trial is not None:
        if state["tries"] >= TRIAL_BOOTS or not _is_whole(folder, trial):
            _give_up(folder, run, trial)
        elif _count(folder, run, trial, state["tries"] + 1):
            return trial
    if run and not _is_whole(folder, run):
        other = _any_whole(folder)
        _give_up(folder, other, run)
        return other
    return run


def _count(folder: str, run: str, trial: str, tries: int) -> bool:
    """Count a trial boot before it starts: a firmware that dies at once has had it.

    False where it cannot be counted: such a trial could go on for ever.
    """
    try:
        _save(folder, run, trial, tries)
        return status(folder)["tries"] == tries
    except OSError:
        return False


def _give_up(folder: str, run: str, failed: str) -> None:
    """Put `run` in force instead of `failed`, which is never chosen again, and leave that to be told."""
    try:
        _save(folder, run, None, 0, failed)
        os.remove(_mark(folder, failed))
    except OSError:
        return  # said again at the next boot; the old one starts all the same


def _choose_unknown(folder: str) -> str:
    """Nothing is known: a whole slot is tried, with the other to fall back to."""
    name = _any_whole(folder)
    if name:
        other = "b" if name == "a" else "a"
        _count(folder, other if _is_whole(folder, other) else "", name, 1)
    return name


def _any_whole(folder: str) -> str:
    for name in NAMES:
        if _is_whole(folder, name):
            return name
    return ""


def _is_whole(folder: str, name: str) -> bool:
    try:
        os.stat(_mark(folder, name))
        is_there = os.stat(place(folder, name))[0] & _DIRECTORY != 0
    except OSError:
        return False
    return is_there and _fails(folder, name) < MOST_FAILS


def _fails(folder: str, name: str) -> int:
    """How often in a row a slot's firmware raised before it had settled."""
    try:
        return os.stat(place(folder, name) + _FAILS)[6]
    except OSError:
        return 0


def _save(folder: str, run: str, trial: "str | None", tries: int = 0, failed=None) -> None:
    _copies(folder).save({"run": run, "trial": trial, "tries": tries, "failed": failed})


def _copies(folder: str) -> object:
    # Imported here: a fault in it must not keep boot.py from choosing.
    from .copies import Copies

    return Copies(folder, "slot")


def _mark(folder: str, name: str) -> str:
    return place(folder, name) + ".ok"


def _removing(path: str) -> "Iterator[None]":
    try:
        directory = os.stat(path)[0] & _DIRECTORY
    except OSError:
        return  # it is not there
    if directory:
        for name in os.listdir(path):
            for _ in _removing(path + "/" + name):
                yield
        os.rmdir(path)
    else:
        os.remove(path)
    yield
