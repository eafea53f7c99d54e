"""Accounts of the broker inside the process (amqtt), in a password file and an ACL file."""

from pathlib import Path
from typing import Any

from bridge.account_files import AccountFiles, read_access

PASSWORDS_FILE = "mqtt-passwords"
ACCESS_FILE = "mqtt-access"
_START_AGAIN = "start `steam run` again: its broker reads its accounts only then"


def inner_accounts(password_file: Path, acl_file: Path) -> AccountFiles:
    """The accounts of the broker inside the process, which reads them when it starts."""
    return AccountFiles(
        password_file,
        acl_file,
        hashed=_hashed,
        told=lambda: "" if _was_read(password_file) else _START_AGAIN,
    )


def note_read(password_file: Path) -> None:
    """Note which password file the broker is about to read; raises OSError."""
    _mark(password_file).write_text(_state(password_file), encoding="ascii")


def _was_read(password_file: Path) -> bool:
    """Whether the broker has read the passwords as they are; a file is replaced, never edited."""
    try:
        return _mark(password_file).read_text(encoding="ascii") == _state(password_file)
    except (OSError, UnicodeError):
        return False


def _state(password_file: Path) -> str:
    facts = password_file.stat()
    return f"{facts.st_ino} {facts.st_mtime_ns}"


def _mark(password_file: Path) -> Path:
    return password_file.with_name(f"{password_file.name}.read")


def inner_plugins(password_file: Path, acl_file: Path) -> dict[str, Any]:
    """The entry `plugins` of amqtt's configuration that enforces the accounts.

    Less strict than mosquitto and RabbitMQ (seen with amqtt 0.12.1): it acknowledges a publish
    outside the account's topics and drops it. The processor's own checks stand behind it.
    Raises AccountFault.
    """
    accounts = read_access(acl_file)
    publish = {account.name: list(account.publish) for account in accounts}
    return {
        "amqtt.plugins.authentication.FileAuthPlugin": {"password_file": str(password_file)},
        "bridge.inner_topics.AccountTopics": {
            "publish_acl": publish,
            "subscribe_acl": {account.name: list(account.subscribe) for account in accounts},
        },
        "bridge.inner_topics.AccountIdentity": {"publish_acl": publish},
    }


def _hashed(password: str) -> str:
    """Argon2, which amqtt expects; cheap, because it is checked on the broker's own event loop.

    The password has 192 random bits: no stretching makes it harder to guess.
    """
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(password)
