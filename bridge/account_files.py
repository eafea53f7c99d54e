"""Accounts of brokers that keep them in a password file and an ACL file (mosquitto's form)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bridge.accounts import (
    AccountFault,
    DeviceAccount,
    MqttAccess,
    device_access,
    device_of_topics,
    new_password,
)
from bridge.edited_file import locked, replace_text


def acl_section(access: MqttAccess) -> list[str]:
    """The lines of an ACL file for one account."""
    return [
        f"user {access.name}",
        *(f"topic write {topic}" for topic in access.publish),
        *(f"topic read {topic}" for topic in access.subscribe),
    ]


def read_access(acl_file: Path) -> list[MqttAccess]:
    """The accounts of an ACL file with their topics; raises AccountFault."""
    return _sections(_lines(acl_file))


class AccountFiles:
    """Keeps accounts in two files; implements DeviceAccounts.

    Other accounts and comments in the files stay. `hashed` gives what the password file holds of
    a password; `told` makes the broker read its files again, and returns what is left to do.
    The broker runs in `group`, which may read new files.
    """

    def __init__(
        self,
        password_file: Path,
        acl_file: Path,
        *,
        hashed: Callable[[str], str],
        told: Callable[[], str],
        group: str = "",
    ) -> None:
        self._password_file = password_file
        self._acl_file = acl_file
        self._hashed = hashed
        self._told = told
        self._group = group
        self._next_step = ""

    @property
    def next_step(self) -> str:
        """What somebody must do before the broker knows of the last change, or ""."""
        return self._next_step

    def settle(self) -> str:
        """Make the broker know of the accounts as they are; what is left for somebody, or ""."""
        return self._told()

    def add(self, site: str, device: str) -> str:
        """Make a device's account and return its password."""
        access = device_access(site, device)
        if device in self._names():
            raise AccountFault(
                f"{self._password_file} has an account {device!r} already; for a new password use "
                "`steam device rotate`, or give the device another name"
            )
        return self.put(access)

    def rotate(self, site: str, device: str, password: str | None = None) -> str:
        """Give a device's account a new password."""
        access = device_access(site, device)
        if DeviceAccount(site, device) not in self.listed():
            raise AccountFault(
                f"{self._password_file} has no account of a device {device!r} of site {site!r}"
            )
        return self.put(access, password)

    def remove(self, device: str) -> None:
        """Remove a device's account from both files."""
        if device not in {account.device for account in self.listed()}:
            if device in self._names():
                raise AccountFault(
                    f"the account {device!r} in {self._password_file} is not a device's; left alone"
                )
            return
        with self._editing():
            self._write(self._password_file, _without_password(self._passwords(), device))
            self._write(self._acl_file, _without_section(self._acl(), device))
        self._next_step = self._told()

    def listed(self) -> list[DeviceAccount]:
        """The device accounts that have a password and a section in the ACL file."""
        names = self._names()
        found = (device_of_topics(access) for access in _sections(self._acl()))
        return sorted(account for account in found if account and account.device in names)

    def put(self, access: MqttAccess, password: str | None = None) -> str:
        """Make an account, or give it a new password and today's topics; returns the password."""
        password = password or new_password()
        line = f"{access.name}:{self._hashed(password)}"
        with self._editing():
            sections = [*_without_section(self._acl(), access.name), *acl_section(access)]
            self._write(self._acl_file, sections)
            others = _without_password(self._passwords(), access.name)
            self._write(self._password_file, [*others, line])
        self._next_step = self._told()
        return password

    def _names(self) -> set[str]:
        return {line.partition(":")[0] for line in self._passwords()}

    def _passwords(self) -> list[str]:
        return _lines(self._password_file)

    def _acl(self) -> list[str]:
        return _lines(self._acl_file)

    @contextmanager
    def _editing(self) -> Iterator[None]:
        try:
            with locked(self._password_file):
                yield
        except OSError as error:
            raise AccountFault(
                f"cannot write the accounts in {self._password_file.parent}: {error.strerror}; run "
                "this as the user who may"
            ) from None

    def _write(self, path: Path, lines: list[str]) -> None:
        replace_text(path, "".join(f"{line}\n" for line in lines), self._group)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise AccountFault(f"cannot read {path}: {error.strerror}") from None


def _without_password(lines: list[str], name: str) -> list[str]:
    return [line for line in lines if line.partition(":")[0] != name]


def _without_section(lines: list[str], name: str) -> list[str]:
    """Leave out `user name` and the topics that follow it; comments and patterns stay."""
    kept, inside = [], False
    for line in lines:
        words = line.split(maxsplit=1)
        if words[:1] == ["user"]:
            inside = words[1:] == [name]
        if not (inside and words[:1] in (["user"], ["topic"])):
            kept.append(line)
    return kept


def _sections(lines: list[str]) -> list[MqttAccess]:
    found: dict[str, dict[str, list[str]]] = {}
    topics: dict[str, list[str]] = {"write": [], "read": []}
    for line in lines:
        match line.split(maxsplit=2):
            case ["user", *_]:
                topics = {"write": [], "read": []}
                found[line.split(maxsplit=1)[1]] = topics
            case ["topic", ("write" | "read") as access, topic]:
                topics[access].append(topic)
    return [
        MqttAccess(name=name, publish=tuple(of["write"]), subscribe=tuple(of["read"]))
        for name, of in found.items()
    ]
