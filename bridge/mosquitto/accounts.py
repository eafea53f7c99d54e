"""Accounts of a mosquitto broker, in its password file and its ACL file."""

import hashlib
import os
import secrets
import signal
from base64 import b64encode
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

ITERATIONS = 101
"""Rounds of PBKDF2: what mosquitto_passwd takes. The passwords are random, not guessable."""


def password_line(name: str, password: str, salt: bytes) -> str:
    """A line of mosquitto's password file (format 7: PBKDF2 with SHA-512, 64 bytes)."""
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
    return f"{name}:$7${ITERATIONS}${b64encode(salt).decode()}${b64encode(digest).decode()}"


def acl_section(access: MqttAccess) -> list[str]:
    """The lines of mosquitto's ACL file for one account."""
    return [
        f"user {access.name}",
        *(f"topic write {topic}" for topic in access.publish),
        *(f"topic read {topic}" for topic in access.subscribe),
    ]


class MosquittoAccounts:
    """Keeps accounts in two files; implements bridge.accounts.DeviceAccounts.

    Other accounts and comments in the files stay. mosquitto reads them again when it gets SIGHUP,
    which this sends to the process that `pid_file` names.
    """

    def __init__(self, password_file: Path, acl_file: Path, pid_file: Path | None = None) -> None:
        self._password_file = password_file
        self._acl_file = acl_file
        self._pid_file = pid_file
        self._reloaded = True

    @property
    def next_step(self) -> str:
        """How to make mosquitto read its files again, where this could not."""
        if self._reloaded:
            return ""
        return "make mosquitto read its accounts again: `systemctl reload mosquitto`, or SIGHUP"

    def add(self, site: str, device: str) -> str:
        """Make a device's account and return its password."""
        access = device_access(site, device)
        if device in self._names():
            raise AccountFault(
                f"{self._password_file} has an account {device!r} already; for a new password use "
                "`steam device rotate`, or give the device another name"
            )
        return self.put(access)

    def rotate(self, site: str, device: str) -> str:
        """Give a device's account a new password."""
        access = device_access(site, device)
        if DeviceAccount(site, device) not in self.listed():
            raise AccountFault(
                f"{self._password_file} has no account of a device {device!r} of site {site!r}"
            )
        return self.put(access)

    def remove(self, device: str) -> None:
        """Remove a device's account; mosquitto closes its connections when it has read the files."""
        if device not in {account.device for account in self.listed()}:
            if device in self._names():
                raise AccountFault(
                    f"the account {device!r} in {self._password_file} is not a device's; left alone"
                )
            return
        with locked(self._password_file):
            self._write(self._password_file, _without_password(self._passwords(), device))
            self._write(self._acl_file, _without_section(self._acl(), device))
        self._reload()

    def listed(self) -> list[DeviceAccount]:
        """The device accounts that have a password and a section in the ACL file."""
        names = self._names()
        found = (device_of_topics(access) for access in _sections(self._acl()))
        return sorted(account for account in found if account and account.device in names)

    def put(self, access: MqttAccess) -> str:
        """Make an account, or give it a new password and today's topics; returns the password."""
        password = new_password()
        line = password_line(access.name, password, secrets.token_bytes(12))
        with locked(self._password_file):
            sections = [*_without_section(self._acl(), access.name), *acl_section(access)]
            self._write(self._acl_file, sections)
            others = _without_password(self._passwords(), access.name)
            self._write(self._password_file, [*others, line])
        self._reload()
        return password

    def _names(self) -> set[str]:
        return {line.partition(":")[0] for line in self._passwords()}

    def _passwords(self) -> list[str]:
        return _lines(self._password_file)

    def _acl(self) -> list[str]:
        return _lines(self._acl_file)

    def _write(self, path: Path, lines: list[str]) -> None:
        try:
            replace_text(path, "".join(f"{line}\n" for line in lines))
        except OSError as error:
            raise AccountFault(f"cannot write {path}: {error.strerror}") from None

    def _reload(self) -> None:
        self._reloaded = False
        if self._pid_file is None:
            return
        try:
            os.kill(int(self._pid_file.read_text(encoding="ascii")), signal.SIGHUP)
        except (OSError, ValueError):
            return  # next_step then says what is left to do
        self._reloaded = True


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
    """The accounts of an ACL file with the topics that they may write."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in lines:
        words = line.split(maxsplit=2)
        if words[:1] == ["user"] and len(words) > 1:
            name = line.split(maxsplit=1)[1]
            found[name] = []
        elif words[:2] == ["topic", "write"] and name:
            found[name].append(words[2])
    return [MqttAccess(name=name, publish=tuple(topics)) for name, topics in found.items()]
