"""Accounts at a RabbitMQ broker, through its management API, as an administrator."""

import hashlib
import secrets
from base64 import b64encode
from typing import Any

from bridge.accounts import (
    Account,
    AccountFault,
    DeviceAccount,
    device_account,
    device_of,
    new_password,
)
from bridge.rabbitmq.management import Management

HASHING_ALGORITHM = "rabbit_password_hashing_sha256"


def password_hash(password: str, salt: bytes) -> str:
    """The hash of a password as RabbitMQ keeps it: base64 of the salt of 4 bytes and a SHA-256.

    Source: RabbitMQ documentation, "Credentials and Passwords", computing a password hash.
    """
    return b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def user_body(account: Account, password: str) -> dict[str, Any]:
    """What the management API and definitions take for a user; only the password's hash."""
    return {
        "password_hash": password_hash(password, secrets.token_bytes(4)),
        "hashing_algorithm": HASHING_ALGORITHM,
        "tags": ",".join(account.tags),
    }


class RabbitAccounts:
    """Makes and removes accounts; implements DeviceAccounts.

    `management` is an administrator's: RabbitMQ lets nobody else make users.
    """

    next_step = ""

    def __init__(self, management: Management) -> None:
        self._management = management

    def settle(self) -> str:
        """Nothing is left: it keeps accounts itself."""
        return ""

    def add(self, site: str, device: str) -> str:
        """Make a device's account and return its password."""
        account = device_account(site, device)
        if self._management.get("users", device) is not None:
            raise AccountFault(
                f"RabbitMQ has an account {device!r} already; for a new password use "
                "`steam device rotate`, or give the device another name"
            )
        return self.put(account)

    def rotate(self, site: str, device: str, password: str | None = None) -> str:
        """Give a device's account a new password; what is connected stays so."""
        account = device_account(site, device)
        if DeviceAccount(site, device) not in self.listed():
            raise AccountFault(f"RabbitMQ has no account of a device {device!r} of site {site!r}")
        return self.put(account, password)

    def remove(self, device: str) -> None:
        """Remove a device's account; RabbitMQ closes its connections then (seen on 3.10.8)."""
        if device not in {account.device for account in self.listed()}:
            if self._management.get("users", device) is not None:
                raise AccountFault(
                    f"the account {device!r} in RabbitMQ is not a device's; left alone"
                )
            return
        self._management.delete("users", device)

    def listed(self) -> list[DeviceAccount]:
        """The device accounts of this virtual host."""
        vhost = self._management.vhost
        found = []
        for entry in self._management.get("vhosts", vhost, "topic-permissions") or []:
            account = device_of(entry["write"])
            if account is not None and entry["user"] == account.device:
                found.append(account)
        return sorted(found)

    def put(self, account: Account, password: str | None = None) -> str:
        """Make an account, or give it a new password and today's permissions; returns the password.

        Topic permissions come first: without any, every topic is open.
        """
        password, vhost = password or new_password(), self._management.vhost
        self._management.put("users", account.name, body=user_body(account, password))
        for topic in account.topic_permissions:
            body = {"exchange": topic.exchange, "write": topic.write, "read": topic.read}
            self._management.put("topic-permissions", vhost, account.name, body=body)
        permission = account.permission
        body = {
            "configure": permission.configure,
            "write": permission.write,
            "read": permission.read,
        }
        self._management.put("permissions", vhost, account.name, body=body)
        return password
