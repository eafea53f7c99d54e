"""The MQTT client over TLS: certificates that are good, and each way in which they are not."""

import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import pytest

from device.steamlink import mqtt, tls
from tests.firmware import micropython
from tests.servers.absence import go_without

PROGRAM = Path(__file__).parent / "programs" / "mqtt_tls.py"
NAME = "broker.plant"
INTERPRETERS = ("micropython", "cpython")


class Authority:
    """A certificate authority in a folder, made with openssl: EC P-256."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir()
        self.folder = folder
        (folder / "index.txt").touch()
        (folder / "ca.cnf").write_text(
            "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\nnew_certs_dir=.\nrand_serial=yes\n"
            "default_md=sha256\npolicy=p\nunique_subject=no\ncopy_extensions=copy\n"
            "[p]\ncommonName=supplied\n"
        )
        self._openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "ca.key")
        self._openssl(
            *("req", "-x509", "-new", "-key", "ca.key", "-sha256", "-days", "3650"),
            *("-subj", f"/CN={name}", "-out", "ca.pem"),
            *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
        )
        self._openssl("x509", "-in", "ca.pem", "-outform", "DER", "-out", "ca.der")

    @property
    def der(self) -> Path:
        return self.folder / "ca.der"

    @property
    def pem(self) -> Path:
        return self.folder / "ca.pem"

    def certify(self, host: str, *, first_day: int, last_day: int) -> Path:
        """A file with a certificate of `host` and its key, valid between two days from now."""
        now = datetime.now(UTC)
        dates = [f"{now + timedelta(days=day):%Y%m%d%H%M%SZ}" for day in (first_day, last_day)]
        self._openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "host.key")
        self._openssl(
            *("req", "-new", "-key", "host.key", "-subj", f"/CN={host}", "-out", "host.csr"),
            *("-addext", f"subjectAltName=DNS:{host}"),
        )
        self._openssl(
            *("ca", "-batch", "-notext", "-config", "ca.cnf", "-keyfile", "ca.key"),
            *("-cert", "ca.pem", "-in", "host.csr", "-out", "host.pem"),
            *("-startdate", dates[0], "-enddate", dates[1]),
        )
        both = self.folder / f"{host}-{first_day}-{last_day}.pem"
        both.write_bytes(
            (self.folder / "host.pem").read_bytes() + (self.folder / "host.key").read_bytes()
        )
        return both

    def _openssl(self, *arguments: str) -> None:
        done = subprocess.run(
            ["openssl", *arguments], cwd=self.folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


class TlsBroker:
    """Takes one connection after the other; `first_bytes` as they came, `heard` once decrypted."""

    def __init__(
        self, certificate: Path | None, *, mute: bool = False, closing: bool = False
    ) -> None:
        self.first_bytes: list[int] = []
        self.heard = b""
        self._mute = mute
        self._closing = closing
        self._context = None
        if certificate is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(certificate)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(timeout=10)

    def _serve(self) -> None:
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            with link:
                link.settimeout(10)
                try:
                    self._converse(link)
                except OSError:
                    continue

    def _converse(self, link: socket.socket) -> None:
        self.first_bytes += link.recv(1, socket.MSG_PEEK)
        if self._closing:
            link.recv(100000)
            return
        if self._mute:
            link.recv(100000)
            link.recv(100000)
            return
        if self._context is None:
            link.recv(100000)
            link.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
            link.recv(100000)
            return
        with self._context.wrap_socket(link, server_side=True) as safe:
            self.heard += safe.recv(1000)
            safe.sendall(b"\x20\x02\x00\x00")
            while self.heard.count(b"x") < 3000:
                self.heard += safe.recv(1000)
            safe.sendall(b"\x40\x02\x00\x01")
            self.heard += safe.recv(1000)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    if shutil.which("openssl") is None:
        go_without("no openssl to make certificates with (Debian: apt-get install openssl)")
    return Authority(tmp_path_factory.mktemp("tls") / "plant", "Plant CA")


@pytest.fixture(scope="module")
def stranger(authority):
    return Authority(authority.folder.parent / "stranger", "Another CA")


@pytest.fixture(params=INTERPRETERS)
def connect(request):
    """Runs the program against a broker, on either interpreter; returns what it printed."""

    def run(broker: TlsBroker, ca: Path, name: str = NAME) -> str:
        arguments = ("127.0.0.1", str(broker.port), str(ca), name)
        if request.param == "micropython":
            return micropython.run(PROGRAM, *arguments)
        done = subprocess.run(
            [sys.executable, str(PROGRAM), *arguments],
            env=os.environ | {"PYTHONPATH": str(micropython.ROOT)},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        assert not done.stderr
        return done.stdout

    return run


@pytest.mark.parametrize("form", ["der", "pem"])
def test_tls_with_good_certificate_carries_messages(authority, connect, form):
    """The plant's CA, as DER or PEM, lets the device in; what it sends is acknowledged."""
    with TlsBroker(authority.certify(NAME, first_day=-1, last_day=30)) as broker:
        printed = connect(broker, getattr(authority, form))

    assert printed == "connected\nacknowledged 1\n"
    assert broker.first_bytes == [0x16]
    assert b"MQTT" in broker.heard
    assert broker.heard.endswith(b"\xe0\x00")


def test_tls_with_two_authorities_takes_either(authority, stranger, connect, tmp_path):
    """While a CA is replaced, the file holds the old and the new one."""
    both = tmp_path / "both.pem"
    both.write_bytes(stranger.pem.read_bytes() + authority.pem.read_bytes())
    with TlsBroker(authority.certify(NAME, first_day=-1, last_day=30)) as broker:
        assert connect(broker, both).startswith("connected\n")


@pytest.mark.parametrize(
    ("first_day", "last_day", "host", "words"),
    [
        (-30, -1, NAME, "expired"),
        (1, 30, NAME, "not yet valid|validity starts in the future"),
        (-1, 30, "other.plant", "mismatch|does not match"),
    ],
    ids=["expired", "not_yet_valid", "wrong_host"],
)
def test_tls_with_bad_certificate_is_refused(authority, connect, first_day, last_day, host, words):
    """An expired, a future and another host's certificate are TlsFault; no password leaves."""
    certificate = authority.certify(host, first_day=first_day, last_day=last_day)
    with TlsBroker(certificate) as broker:
        printed = connect(broker, authority.der)

    assert re.fullmatch(rf"TlsFault 127.0.0.1:{broker.port} over TLS: .*({words}).*\n", printed)
    assert broker.first_bytes == [0x16]
    assert broker.heard == b""


def test_tls_of_another_authority_is_refused(authority, stranger, connect):
    """A broker whose certificate another CA signed is not the plant's."""
    with TlsBroker(authority.certify(NAME, first_day=-1, last_day=30)) as broker:
        printed = connect(broker, stranger.der)

    assert printed.startswith("TlsFault ")
    assert broker.heard == b""


def test_tls_towards_a_plain_port_is_refused(authority, connect):
    """A server without TLS is a fault: the client never goes on in plain."""
    with TlsBroker(None) as broker:
        printed = connect(broker, authority.der)

    assert printed.startswith("TlsFault ")
    assert broker.first_bytes == [0x16]


def test_tls_handshake_that_never_ends_is_lost_in_time(authority, connect):
    """A server that is silent after TCP costs the one time-out over everything."""
    with TlsBroker(None, mute=True) as broker:
        printed = connect(broker, authority.der)

    assert printed == f"ConnectionLost 127.0.0.1:{broker.port} did not answer within 3000 ms\n"


def test_tls_handshake_that_the_broker_closes_is_no_distrust(authority, connect):
    """A broker that starts again behind a proxy closes too: the next attempt comes as ever."""
    with TlsBroker(None, closing=True) as broker:
        printed = connect(broker, authority.der)

    assert printed.startswith(f"ConnectionLost 127.0.0.1:{broker.port}")


def test_tls_context_requires_certificates_of_the_given_authority(authority):
    """The context checks certificate and name, whatever form the CA has."""
    context = tls.context(authority.pem.read_bytes())

    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    assert len(context.get_ca_certs()) == 1
    assert tls.context(None).verify_mode == ssl.CERT_REQUIRED


@pytest.mark.parametrize(
    "ca",
    [
        b"",
        b"\x30\x82\x01",
        b"ca.der",
        b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\n\xff\xfe",
        b"-----BEGIN EC PRIVATE KEY-----\nMIIB\n-----END EC PRIVATE KEY-----\n",
    ],
)
def test_tls_context_of_what_is_no_certificate_is_refused(ca):
    """An empty, cut or foreign CA file is a ValueError that names the CA."""
    with pytest.raises(ValueError, match="CA"):
        tls.context(ca)


def test_tls_with_ca_file_that_is_missing_or_wrong_says_what_to_do(tmp_path):
    """A fault like others of the connection, with the file's name in it."""
    with pytest.raises(mqtt.TlsFault, match=r"no-such\.der.*copy"):
        tls.from_file(str(tmp_path / "no-such.der"))
    (tmp_path / "ca.der").write_bytes(b"what")
    with pytest.raises(mqtt.TlsFault, match=r"no certificate.*ca\.der"):
        tls.from_file(str(tmp_path / "ca.der"))
