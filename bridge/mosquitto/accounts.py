"""Accounts of a mosquitto broker, in its password file and its ACL file."""

import hashlib
import os
import secrets
import signal
from base64 import b64encode
from pathlib import Path

from bridge.account_files import AccountFiles

ITERATIONS = 101
"""Rounds of PBKDF2: what mosquitto_passwd takes. The passwords are random, not guessable."""


def hashed(password: str, salt: bytes) -> str:
    """A password as mosquitto's password file has it (form 7: PBKDF2 with SHA-512, 64 bytes)."""
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
    return f"$7${ITERATIONS}${b64encode(salt).decode()}${b64encode(digest).decode()}"


def mosquitto_accounts(
    password_file: Path, acl_file: Path, pid_file: Path | None = None
) -> AccountFiles:
    """The accounts of a mosquitto; it reads its files again when it gets SIGHUP.

    That goes to the process that `pid_file` names. mosquitto then also closes the connections
    of accounts that are gone (seen on 2.0.11).
    """
    return AccountFiles(
        password_file,
        acl_file,
        hashed=lambda password: hashed(password, secrets.token_bytes(12)),
        told=lambda: _told(pid_file),
        group="mosquitto",
    )


def _told(pid_file: Path | None) -> str:
    if pid_file is not None:
        try:
            pid = int(pid_file.read_text(encoding="ascii"))
            if _is_mosquitto(pid):
                os.kill(pid, signal.SIGHUP)
                return ""
        except (OSError, ValueError):
            pass  # No mosquitto there, or not ours: the sentence below is the answer.
    return "make mosquitto read its accounts again: `systemctl reload mosquitto`, or SIGHUP"


def _is_mosquitto(pid: int) -> bool:
    """Whether that process is a mosquitto: after a crash the file names whatever came later."""
    if pid <= 1:
        return False
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip() == "mosquitto"
    except FileNotFoundError:
        # A system without /proc cannot say; with it, there is no such process.
        return not Path("/proc/self").exists()
