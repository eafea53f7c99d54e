"""Targets on Apprise: email, Telegram and whatever else it can reach by a URL."""

import logging
import re
import warnings
from collections.abc import Iterator, Mapping
from urllib.parse import unquote

import msgspec
from apprise import Apprise, AppriseAsset, NotifyFormat, NotifyType, PersistentStoreMode
from apprise.common import OverflowMode
from apprise.manager_plugins import NotificationManager
from apprise.plugins.base import NotifyBase
from apprise.result import AppriseResultStatus

from bridge.settings_file import nearest
from processor.notifier.routes import Address, AddressMissing, NotificationSettings, Route
from processor.notifier.target import RoutedTarget, SendFailed
from processor.notifier.text import Notification, Severity

SOCKET_TIMEOUT_S = 15.0
"""The longest that one connect or read of a target may take; a URL may ask for less."""

_PIECES = re.compile(r"[/?&=:@#,\s]+")
_ADDRESS = re.compile(r" object at 0x[0-9a-f]+")
_MIN_SECRET = 3
_NOTIFY_TYPES = {
    Severity.CRITICAL: NotifyType.FAILURE,
    Severity.WARNING: NotifyType.WARNING,
    Severity.INFO: NotifyType.INFO,
    Severity.GOOD: NotifyType.SUCCESS,
}


class TargetFault(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with one target of the routes: its place in the settings, and why."""

    route: int
    target: int
    text: str


class TargetsRefused(Exception):
    """Targets cannot be used; `faults` says which, and what to do."""

    def __init__(self, settings: NotificationSettings, faults: list[TargetFault]) -> None:
        names = [settings.routes[fault.route].name for fault in faults]
        lines = [
            f"notifications, route {name!r}, target {fault.target + 1}: {fault.text}"
            for name, fault in zip(names, faults, strict=True)
        ]
        super().__init__("\n".join(lines))
        self.faults = faults


class AppriseTarget:
    """One Apprise plugin with one recipient; implements Target.

    Apprise answers only whether it worked and logs why not; what it logged during the send
    becomes the reason, with every part of the URL that is secret removed.
    """

    def __init__(self, plugin: NotifyBase) -> None:
        self._plugin = plugin
        self._secrets = secret_pieces(plugin)

    @property
    def spacing_s(self) -> float:
        """The seconds that the plugin keeps between two requests."""
        return float(self._plugin.request_rate_per_sec)

    def send(self, notification: Notification) -> None:
        """Send as plain text, which Apprise escapes where the service takes HTML."""
        apprise = Apprise(asset=self._plugin.asset)
        apprise.add(self._plugin)
        answer = apprise.notify(
            title=notification.title,
            body=notification.body,
            body_format=NotifyFormat.TEXT,
            notify_type=_NOTIFY_TYPES[notification.severity],
            log_level=logging.DEBUG,
        )
        attempts = [attempt for result in answer.results for attempt in result.attempts]
        if attempts and attempts[-1].status is AppriseResultStatus.SUCCESS:
            return
        entries = [entry for attempt in attempts for entry in attempt.logs]
        entries += list(answer.call_logs())
        raise SendFailed(_reason([(e.level, e.message) for e in entries], self._secrets))


def open_targets(
    settings: NotificationSettings, environment: Mapping[str, str]
) -> list[RoutedTarget]:
    """Every target of the routes, each recipient once; raises TargetsRefused with all faults."""
    quiet_vendor_logs()
    faults: list[TargetFault] = []
    found: dict[str, RoutedTarget] = {}
    for index, route in enumerate(settings.routes):
        used: set[str] = set()
        for number, address in enumerate(route.addresses):
            try:
                url, plugin = _plugin(address, environment)
            except (AddressMissing, _Unusable) as error:
                faults.append(TargetFault(route=index, target=number, text=str(error)))
                continue
            name = _name(route, address, plugin, used)
            _add(found, url, name, plugin, route, settings)
    if faults:
        raise TargetsRefused(settings, faults)
    return list(found.values())


def secret_pieces(plugin: NotifyBase) -> list[str]:
    """The parts of a plugin's URL that Apprise itself would not show, longest first."""
    shown = set(_pieces(plugin.url(privacy=True)))
    hidden = {piece for piece in _pieces(plugin.url(privacy=False)) if piece not in shown}
    return sorted(hidden, key=len, reverse=True)


def quiet_vendor_logs() -> None:
    """Keep Apprise's log to itself, and urllib3 from logging paths: both hold secrets.

    Apprise's log stays at DEBUG, because only there it says what a socket's error was.
    """
    apprise_log = logging.getLogger("apprise")
    apprise_log.setLevel(logging.DEBUG)
    apprise_log.propagate = False
    if not apprise_log.handlers:
        apprise_log.addHandler(logging.NullHandler())
    for name in ("urllib3", "requests"):
        if logging.getLogger(name).level in (logging.NOTSET, logging.DEBUG):
            logging.getLogger(name).setLevel(logging.INFO)


class _Unusable(ValueError):
    """A URL that cannot be a target."""


def _plugin(address: Address, environment: Mapping[str, str]) -> tuple[str, NotifyBase]:
    url = address.read(environment)
    schema = url.partition("://")[0].lower()
    schemas = _schemas()
    if schema not in schemas:
        raise _Unusable(
            f"Apprise knows no service {clean_schema(schema)!r}{nearest(schema, schemas)}; "
            "its services are listed at https://appriseit.com/services/"
        )
    asset = AppriseAsset(
        storage_mode=PersistentStoreMode.MEMORY, service_timeout=0, allow_templates=False
    )
    asset.async_mode = False  # send in the calling thread, which is this target's own
    asset.app_id, asset.app_desc = "Steam", "Steam"
    plugin = Apprise.instantiate(url, asset=asset)
    if plugin is None:
        raise _Unusable(f"Apprise cannot use this {schema}:// URL; is a part of it missing?")
    _check(plugin, address, environment)
    _bound(plugin, url)
    return url, plugin


def _schemas() -> list[str]:
    """Every start of a URL that Apprise knows; its plugins are loaded at the first call."""
    with warnings.catch_warnings():
        # apprise.utils.pgp imports imghdr, deprecated until Python 3.13 takes it away.
        warnings.simplefilter("ignore", DeprecationWarning)
        return sorted(NotificationManager().schemas())


def clean_schema(schema: str) -> str:
    """The start of a URL as far as it cannot be a secret: what a schema may look like."""
    return schema if re.fullmatch(r"[a-z][a-z0-9+.-]{0,15}", schema) else "?"


def _check(plugin: NotifyBase, address: Address, environment: Mapping[str, str]) -> None:
    if len(plugin) > 1:
        raise _Unusable(
            f"names {len(plugin)} recipients; write one target for each, so that each is "
            "retried on its own and none is told twice"
        )
    outside = address.secrets(environment)
    if outside is None:
        return
    given = unquote("\n".join(outside))
    if any(piece not in given for piece in secret_pieces(plugin)):
        raise _Unusable(
            "a secret stands in the file; use url_env, url_file, or ${NAME} for that part of it"
        )


def _bound(plugin: NotifyBase, url: str) -> None:
    """Bound what a send may take, and leave retries to us."""
    plugin.socket_connect_timeout = min(plugin.socket_connect_timeout, SOCKET_TIMEOUT_S)
    plugin.socket_read_timeout = min(plugin.socket_read_timeout, SOCKET_TIMEOUT_S)
    plugin.service_retry = 0
    plugin.optional = False
    if "overflow=" not in url:
        plugin.overflow_mode = OverflowMode.SPLIT


def _name(route: Route, address: Address, plugin: NotifyBase, used: set[str]) -> str:
    """`<route>/<name or schema>`, numbered where a route has several alike."""
    stem = address.name or str(plugin.schema)
    name, count = stem, 1
    while name in used:
        count += 1
        name = f"{stem}-{count}"
    used.add(name)
    return f"{route.name}/{name}"


def _add(
    found: dict[str, RoutedTarget],
    url: str,
    name: str,
    plugin: NotifyBase,
    route: Route,
    settings: NotificationSettings,
) -> None:
    known = found.get(url)
    if known is not None:
        found[url] = msgspec.structs.replace(known, routes=(*known.routes, route))
        return
    found[url] = RoutedTarget(
        name=name,
        target=AppriseTarget(plugin),
        language=route.language or settings.language,
        routes=(route,),
    )


def _pieces(url: str) -> Iterator[str]:
    for part in _PIECES.split(url):
        for piece in _PIECES.split(unquote(part)):
            if len(piece) >= _MIN_SECRET:
                yield piece


def _reason(entries: list[tuple[str, str]], secrets: list[str]) -> str:
    """Why a send failed: what was logged as a warning or worse, and the socket's own words."""
    told = [
        message
        for level, message in entries
        if level in ("WARNING", "ERROR", "CRITICAL") or message.startswith("Socket Exception")
    ]
    text = " ".join(" ".join(told).split()) or "not accepted, and no reason was given"
    for secret in secrets:
        text = text.replace(secret, "…")
    return _ADDRESS.sub("", text)[:400]  # an object's address would make each reason a new one
