"""Updates made and signed by steam.firmware, taken by the firmware over HTTP and HTTPS."""

import hashlib
import io
import json
import os
import ssl
import stat
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import pytest

from device import package_lists
from steam import firmware
from tests.firmware import micropython, updates

PROGRAM = Path(__file__).parent / "programs" / "take_update.py"
INTERPRETERS = ("micropython", "cpython")


class Quiet(SimpleHTTPRequestHandler):
    timeout = 5

    def log_message(self, *_):
        """Nothing to the terminal."""


@pytest.fixture(scope="module")
def key(tmp_path_factory) -> tuple[Path, str]:
    """A key pair as `steam` makes it: the private file and the modulus."""
    path = tmp_path_factory.mktemp("key") / "update.pem"
    return path, firmware.new_key(path)


@dataclass
class Site:
    """A folder that is served."""

    folder: Path
    url: str


@contextmanager
def served(folder: Path, context: ssl.SSLContext | None = None) -> Iterator[Site]:
    server = HTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    server.handle_error = lambda *_: None  # a client that trusts another CA hangs up
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    scheme = "http" if context is None else "https"
    try:
        yield Site(folder, f"{scheme}://localhost:{server.server_address[1]}")
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()


@pytest.fixture
def site(tmp_path) -> Iterator[Site]:
    (tmp_path / "www").mkdir()
    with served(tmp_path / "www") as site:
        yield site


def certify(folder: Path) -> tuple[Path, Path]:
    """A CA in DER, and a chain with its key for localhost, all from openssl."""
    folder.mkdir()
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    name = ("-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=CA:FALSE")
    for command in (
        ("req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Plant"),
        ("x509", "-in", "ca.pem", "-outform", "DER", "-out", "ca.der"),
        (
            *("req", "-x509", *curve, "-CA", "ca.pem", "-CAkey", "ca.key", "-keyout", "host.key"),
            *("-out", "host.pem", "-subj", "/CN=localhost", *name),
        ),
    ):
        subprocess.run(["openssl", *command], cwd=folder, check=True, capture_output=True)
    chain = folder / "chain.pem"
    chain.write_bytes((folder / "host.pem").read_bytes() + (folder / "host.key").read_bytes())
    return folder / "ca.der", chain


def device(interpreter: str, *arguments: str) -> dict[str, object]:
    """What the program printed."""
    if interpreter == "micropython":
        printed = micropython.run(PROGRAM, *arguments)
    else:
        printed = subprocess.run(
            [sys.executable, str(PROGRAM), *arguments],
            env=os.environ | {"PYTHONPATH": str(micropython.ROOT)},
            capture_output=True,
            text=True,
            check=True,
            timeout=100,
        ).stdout
    return json.loads(printed.splitlines()[-1])


def order(
    made: firmware.Update, url: str, private_key: Path, trusted: str, ca: Path | None = None
) -> str:
    """A file with what the program needs: the command `ota`, the device's key, its CA."""
    args = {
        "url": url,
        "size": made.size,
        "sha256": made.sha256,
        "sig": firmware.sign(made.path, private_key),
    }
    file = made.path.with_name("order.json")
    file.write_text(json.dumps({"args": args, "key": trusted, "ca": ca and str(ca)}))
    return str(file)


@pytest.mark.parametrize("interpreter", INTERPRETERS)
def test_update_made_here_is_taken_and_started_by_a_device(interpreter, tmp_path, site, key):
    """The whole way: made, signed, fetched over HTTP, checked, unpacked, started, confirmed."""
    compiled = interpreter == "micropython"
    made = firmware.make_update("unix", site.folder / "u.tar", version="9.9.9", compiled=compiled)
    folder = tmp_path / "device"

    taken = device(interpreter, str(folder), order(made, f"{site.url}/u.tar", *key))
    starts = [device(interpreter, str(folder), "boot") for _ in range(5)]

    assert taken == {"slot": "a", "bytes": made.size}
    ending = "mpy" if compiled else "py"
    assert (
        starts
        == [
            {
                "chosen": f"{folder}/a",
                "file": f"{folder}/a/steamlink/contract.{ending}",
                "version": "9.9.9",
            }
        ]
        * 5
    )


@pytest.mark.parametrize("interpreter", INTERPRETERS)
def test_update_over_https_is_taken_only_from_a_server_of_the_plants_ca(interpreter, tmp_path, key):
    """The right CA: taken. Another CA, or none: refused, and nothing is left behind."""
    ca, chain = certify(tmp_path / "ca")
    other, _ = certify(tmp_path / "other")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    (tmp_path / "www").mkdir()
    made = firmware.make_update("unix", tmp_path / "www" / "u.tar", version="1", compiled=False)
    folder = tmp_path / "device"
    with served(tmp_path / "www", context) as site:
        url = f"{site.url}/u.tar"

        stranger = device(interpreter, str(folder), order(made, url, *key, other))
        unchecked = device(interpreter, str(folder), order(made, url, *key))
        left = sorted(path.name for path in folder.iterdir())
        taken = device(interpreter, str(folder), order(made, url, *key, ca))

    assert "fault" in stranger
    assert "https needs a CA" in str(unchecked["fault"])
    assert left == []
    assert taken == {"slot": "a", "bytes": made.size}


def test_update_signed_with_another_key_is_refused_by_a_device(tmp_path, site, key):
    """A key that the device does not know signs nothing."""
    made = firmware.make_update("unix", site.folder / "u.tar", version="1")
    other = tmp_path / "other.pem"
    firmware.new_key(other)

    refused = device(
        "micropython", str(tmp_path / "d"), order(made, f"{site.url}/u.tar", other, key[1])
    )

    assert "not signed with this device's key" in str(refused["fault"])


def test_update_of_the_same_sources_has_the_same_bytes(tmp_path):
    """Who makes it, where and when does not show."""
    first = firmware.make_update("esp32", tmp_path / "1.tar", version="1", made=1795000000)
    second = firmware.make_update("esp32", tmp_path / "2.tar", version="1", made=1795000000)

    assert first.path.read_bytes() == second.path.read_bytes()
    assert first.sha256 == second.sha256 == hashlib.sha256(first.path.read_bytes()).hexdigest()
    assert first.size == first.path.stat().st_size


@pytest.mark.parametrize("board", sorted(firmware.BOARDS))
def test_update_of_a_board_holds_its_files_and_says_for_whom(tmp_path, board):
    """The files of the board's list, in a fixed order, and update.json."""
    made = firmware.make_update(board, tmp_path / "u.tar", version="1", compiled=False, made=7)
    with tarfile.open(made.path) as archive:
        names = archive.getnames()
        about = json.load(archive.extractfile("update.json"))

    assert about == {"v": 1, "board": board, "version": "1", "made": 7}
    assert names == sorted(names)
    listed = {f"steamlink/{name}" for name, _ in package_lists.files(board)}
    assert set(names) == {"update.json", *listed}
    assert "steamlink/hal/fake.py" not in names
    assert made.size % 512 == 0


def test_update_compiled_is_bytecode_without_paths_of_this_machine(tmp_path):
    """Tracebacks of a device name its modules, not our files."""
    made = firmware.make_update("pico_w", tmp_path / "u.tar", version="1")
    content = made.path.read_bytes()

    with tarfile.open(made.path) as archive:
        names = archive.getnames()
    assert not [name for name in names if name.endswith(".py")]
    assert b"steamlink.contract" in content
    assert b"steamlink/contract.py" not in content
    assert str(micropython.ROOT).encode() not in content


def test_update_of_unknown_board_or_version_is_refused(tmp_path):
    """The message names what is known."""
    with pytest.raises(firmware.FirmwareFault, match="known: esp32, pi, pico_w, unix"):
        firmware.make_update("arduino", tmp_path / "u.tar", version="1")
    for version in ("", "a b", "-1", "x" * 33, "1\n"):
        with pytest.raises(firmware.FirmwareFault, match="version"):
            firmware.make_update("esp32", tmp_path / "u.tar", version=version)


def test_update_with_a_file_that_does_not_compile_is_refused():
    """mpy-cross's own words reach the person."""
    with pytest.raises(firmware.FirmwareFault, match=r"(?s)x\.py does not compile: .*SyntaxError"):
        firmware.compile_source(b"def broken(:\n", "x.py")


def test_update_that_cannot_be_written_is_refused(tmp_path):
    """The fault names the file."""
    with pytest.raises(firmware.FirmwareFault, match=r"nowhere/u\.tar cannot be written"):
        firmware.make_update("unix", tmp_path / "nowhere" / "u.tar", version="1")


def test_key_is_for_its_owner_alone_and_never_overwritten(tmp_path):
    """Mode 0600; a key that devices trust is not replaced by mistake."""
    path = tmp_path / "update.pem"
    modulus = firmware.new_key(path)

    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IRUSR | stat.S_IWUSR
    assert len(modulus) == 512
    assert int(modulus, 16).bit_length() == 2048
    assert firmware.modulus(path) == modulus
    before = path.read_bytes()
    with pytest.raises(firmware.FirmwareFault, match="exists"):
        firmware.new_key(path)
    assert path.read_bytes() == before


def test_key_that_cannot_be_used_is_refused_with_the_reason(tmp_path):
    """Missing, garbage, another size, another kind."""
    for name, command in (
        ("small", ("genrsa", "-traditional", "-out", "small", "1024")),
        ("curve", ("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "curve")),
    ):
        subprocess.run(["openssl", *command], cwd=tmp_path, check=True, capture_output=True)
        with pytest.raises(firmware.FirmwareFault, match="no RSA-2048"):
            firmware.modulus(tmp_path / name)
    (tmp_path / "garbage").write_text("no key")
    with pytest.raises(firmware.FirmwareFault, match="no private key"):
        firmware.modulus(tmp_path / "garbage")
    with pytest.raises(firmware.FirmwareFault, match="cannot be read"):
        firmware.sign(tmp_path / "garbage", tmp_path / "missing")


def test_signature_is_the_one_that_openssl_makes(tmp_path, key):
    """PKCS#1 v1.5 is deterministic: three implementations give the same bytes."""
    content = tmp_path / "u.tar"
    content.write_bytes(b"an update")
    made = subprocess.run(
        ["openssl", "dgst", "-sha256", "-sign", str(key[0]), str(content)],
        check=True,
        capture_output=True,
    ).stdout.hex()
    other = tmp_path / "other.pem"
    other.write_bytes(_test_key())
    digest = hashlib.sha256(b"an update").digest()

    assert firmware.sign(content, key[0]) == made
    assert firmware.sign(content, other) == updates.sign(digest)
    assert firmware.modulus(other) == updates.KEY


def _test_key() -> bytes:
    """The key of the tests in PEM."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    n, d = int(updates.KEY, 16), int(updates._EXPONENT, 16)
    p, q = rsa.rsa_recover_prime_factors(n, 65537, d)
    numbers = rsa.RSAPrivateNumbers(
        p,
        q,
        d,
        rsa.rsa_crt_dmp1(d, p),
        rsa.rsa_crt_dmq1(d, q),
        rsa.rsa_crt_iqmp(p, q),
        rsa.RSAPublicNumbers(65537, n),
    )
    return numbers.private_key().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def test_archive_of_the_tests_is_what_tarfile_makes(tmp_path):
    """The tests' own archives are no dialect."""
    made = updates.archive(updates.entry("lib/x", b"x" * 700), updates.entry("y"))

    with tarfile.open(fileobj=io.BytesIO(made)) as archive:
        assert archive.getnames() == ["lib/x", "y"]
        assert archive.extractfile("lib/x").read() == b"x" * 700
