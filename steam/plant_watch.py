"""The plant as the services see it: read anew when plant.yaml changes."""

import time
from pathlib import Path

import structlog

from bridge.plant import Plant, load_plant
from bridge.settings_file import SettingsError

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 2.0
"""How soon a changed plant.yaml is seen, at the latest, while anything happens."""


class PlantWatch:
    """Gives the present plant; a file that became wrong is told once and not taken."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._plant = load_plant(path)
        self._seen = self._stamp()
        self._look_at = time.monotonic() + LOOK_EVERY_S

    def __call__(self) -> Plant:
        """The plant; looks at the file at most every two seconds."""
        if time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + LOOK_EVERY_S
            self._look()
        return self._plant

    def _look(self) -> None:
        stamp = self._stamp()
        if stamp == self._seen:
            return
        self._seen = stamp
        try:
            self._plant = load_plant(self._path)
        except SettingsError as error:
            log.warning(
                "plant.yaml changed and is wrong; the former plant stays", faults=str(error)
            )
        except Exception as error:  # noqa: BLE001 - an edit never ends a running service
            log.warning(
                "plant.yaml changed and cannot be read; the former plant stays", faults=repr(error)
            )
        else:
            log.info("plant.yaml read anew", devices=len(self._plant.devices))

    def _stamp(self) -> tuple[int, int]:
        try:
            status = self._path.stat()
        except OSError:
            return (0, 0)
        return (status.st_mtime_ns, status.st_size)
