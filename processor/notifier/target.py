"""What a notification is sent to, and the port to it."""

from typing import Protocol

import msgspec

from bridge.records import AlarmEvent
from processor.alarms.machine import SYSTEM
from processor.notifier.routes import Language, Route
from processor.notifier.text import Notice, Notification, Subject


class SendFailed(Exception):
    """The target did not take the notification; the text says why, without secrets."""


class Target(Protocol):
    """One recipient. Sends block, for a bounded time, and are made one at a time."""

    @property
    def spacing_s(self) -> float:
        """The seconds that the service wants between two sends."""

    def send(self, notification: Notification) -> None:
        """Send, and return once the service has accepted; raises SendFailed."""


class RoutedTarget(msgspec.Struct, frozen=True, kw_only=True):
    """A target with every route that leads to it; `name` is stable and holds no secret."""

    name: str
    target: Target
    language: Language
    routes: tuple[Route, ...]

    def wants(self, subject: Subject) -> bool:
        """Whether one of its routes asks for this."""
        if isinstance(subject, Notice):
            return any(route.system for route in self.routes)
        return any(route.wants(subject, system=_is_system(subject)) for route in self.routes)


def _is_system(event: AlarmEvent) -> bool:
    return event.type == SYSTEM
