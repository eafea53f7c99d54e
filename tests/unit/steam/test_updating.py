"""`steam device update` and `firmware`: what is offered to a device, and what became of it."""

import hashlib
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from inspect import signature

import pytest
from typer.testing import CliRunner

from bridge.device_commands import CommandRefused, DeviceFault, NoAnswer
from device.steamlink import http, rsa
from steam.commands.device import app
from steam.commands.device_command import BACK_WITHIN_S
from steam.firmware import make_update, modulus, new_key
from steam.updating import Offer, offer_of, update

OFFER = Offer(url="http://x/u.tar", size=1024, sha256="0" * 64, sig="1", board="esp32", version="2")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Elsewhere(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(302)
        self.send_header("Location", "http://127.0.0.1:1/")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def served():
    """A function that serves with a handler; returns the address."""
    servers = []

    def serve(handler):
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    path = tmp_path_factory.mktemp("key") / "key.pem"
    new_key(path)
    return path


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """An update."""
    return make_update("unix", tmp_path_factory.mktemp("made") / "u.tar", version="1").path


def test_offer_is_what_a_device_with_the_key_takes(served, tmp_path, key):
    """Size, hash and signature are those of the file here; the device's own check passes."""
    made = make_update("unix", tmp_path / "u.tar", version="1.2.3")
    url = served(partial(Quiet, directory=str(tmp_path))) + "/u.tar"

    offer = offer_of(made.path, url, key=key)

    assert (offer.size, offer.sha256) == (made.size, made.sha256)
    assert (offer.board, offer.version) == ("unix", "1.2.3")
    digest = hashlib.sha256((tmp_path / "u.tar").read_bytes()).digest()
    rsa.check(digest, offer.sig, modulus(key))


def test_offer_takes_a_signature_that_was_made_where_the_key_is(served, tmp_path, key):
    """The key need not be on the machine that speaks to devices."""
    made = make_update("unix", tmp_path / "u.tar", version="1.2.3")
    url = served(partial(Quiet, directory=str(tmp_path))) + "/u.tar"
    signature = run("firmware", "sign", made.path, "--key", key).strip()

    offer = offer_of(made.path, url, signature=signature)

    assert offer == offer_of(made.path, url, key=key)


@pytest.mark.parametrize("given", [(), ("--key", "k.pem", "--sig", "00")])
def test_update_wants_either_a_key_or_a_signature(given):
    """Not both, and not neither."""
    arguments = ("update", "d1", "--file", "u.tar", "--url", "http://x/u.tar", *given)
    done = CliRunner().invoke(app, [*arguments])

    assert done.exit_code == 1
    assert "--key, or --sig" in done.output


def test_address_that_serves_another_update_gets_no_signature(served, tmp_path, key):
    """Whoever can write at the web server does not choose what is signed, however well made."""
    (tmp_path / "www").mkdir()
    mine = make_update("unix", tmp_path / "u.tar", version="1.2.3").path
    make_update("unix", tmp_path / "www" / "u.tar", version="1.2.4")
    url = served(partial(Quiet, directory=str(tmp_path / "www"))) + "/u.tar"

    with pytest.raises(DeviceFault, match=r"serves another file than .*Nothing was offered"):
        offer_of(mine, url, key=key)


def test_offer_of_what_is_no_update_is_refused(served, tmp_path, key):
    """A page, an empty file, none at all."""
    (tmp_path / "page.html").write_text("<html>")
    (tmp_path / "empty").touch()
    url = served(partial(Quiet, directory=str(tmp_path))) + "/page.html"

    for name in ("page.html", "empty"):
        with pytest.raises(DeviceFault, match="is no update: make one with"):
            offer_of(tmp_path / name, url, key=key)
    with pytest.raises(DeviceFault, match=r"absent\.tar cannot be read"):
        offer_of(tmp_path / "absent.tar", url, key=key)


def test_address_that_serves_nothing_is_told(served, tmp_path, archive, key):
    """The device could not fetch it either."""
    with pytest.raises(DeviceFault, match=r"cannot be fetched from here.*404"):
        offer_of(archive, served(partial(Quiet, directory=str(tmp_path))) + "/absent.tar", key=key)


def test_address_that_serves_more_than_a_device_takes_is_refused(served, tmp_path, archive, key):
    """One byte too many."""
    (tmp_path / "big").write_bytes(bytes(1_048_577))

    with pytest.raises(DeviceFault, match="larger than the 1048576 bytes"):
        offer_of(archive, served(partial(Quiet, directory=str(tmp_path))) + "/big", key=key)


def test_address_that_leads_elsewhere_is_refused(served, archive, key):
    """A device does not follow, so neither does this."""
    with pytest.raises(DeviceFault, match="302"):
        offer_of(archive, served(Elsewhere), key=key)


@pytest.mark.parametrize("url", ["ftp://x/u.tar", "file:///etc/passwd", "u.tar"])
def test_address_of_another_scheme_is_refused(url, archive, key):
    """Nothing is read from this machine's disk."""
    with pytest.raises(DeviceFault, match="http:// or https://"):
        offer_of(archive, url, key=key)


class Scripted:
    """A device whose answers to identify and log are given one after the other."""

    device = "d1"

    def __init__(self, identities, logs=(), refuses=""):
        self._identities, self._logs = list(identities), list(logs)
        self._refuses = refuses
        self.offered = None

    def do(self, op, args=None):
        if op == "ota":
            if self._refuses:
                raise CommandRefused(f"d1 refused ota: {self._refuses}")
            self.offered = args
            return {}
        answers = self._identities if op == "identify" else self._logs
        answer = answers.pop(0) if len(answers) > 1 else answers[0] if answers else []
        if answer is None:
            raise NoAnswer("away")
        return answer if op == "identify" else {"lines": answer}


OLD = {"board": "esp32", "boot": 4, "fw": "1", "slot": "a", "trial": False}
NEW = {"board": "esp32", "boot": 5, "fw": "2", "slot": "b", "trial": False}


def updated(device, **how):
    now = iter(range(0, 10_000, 10))
    return update(
        device,
        OFFER,
        lambda _: None,
        within_s=60,
        sleep=lambda _s: None,
        monotonic=lambda: next(now),
        **how,
    )


def test_update_ends_when_the_device_answers_with_the_new_version():
    """It is away while it fetches; then it comes back with another boot."""
    device = Scripted([OLD, None, OLD, None, NEW])

    assert updated(device) == "2"
    assert sorted(device.offered) == ["sha256", "sig", "size", "url"]


def test_update_on_trial_is_waited_for():
    """It is kept only once the device has confirmed it."""
    device = Scripted([OLD, NEW | {"trial": True}, NEW | {"trial": True}, NEW])

    assert updated(device) == "2"
    with pytest.raises(DeviceFault, match="did not come back within 60 s"):
        updated(Scripted([OLD, NEW | {"trial": True}]))


def test_update_is_waited_for_longer_than_a_device_fetches():
    """What still comes is no failure."""
    assert signature(http.fetch).parameters["total_s"].default + 120 <= BACK_WITHIN_S


def test_update_from_firmware_that_does_not_tell_its_slot_is_judged_by_its_version():
    """As the firmware before this one."""
    old = {"board": "esp32", "boot": 4, "fw": "1"}

    assert updated(Scripted([old, NEW])) == "2"


def test_update_to_the_version_that_runs_is_refused_unless_forced():
    """Nobody could tell the one from the other afterwards; the slot does, where it must be."""
    same = OLD | {"fw": "2"}
    device = Scripted([same, NEW])
    with pytest.raises(DeviceFault, match=r"runs 2 already: .* --version .* --force"):
        updated(device)
    assert device.offered is None

    assert updated(Scripted([same, NEW]), force=True) == "2"
    with pytest.raises(DeviceFault, match="restarted with the firmware that it had"):
        updated(Scripted([same, same | {"boot": 8}]), force=True)


@pytest.mark.parametrize(
    ("device", "said"),
    [
        (Scripted([OLD | {"board": "pico_w"}]), "d1 is a pico_w; the update is for a esp32"),
        (Scripted([OLD], refuses="ota: no key"), "refused ota: ota: no key"),
        (
            Scripted(
                [OLD],
                [["1 update refused: old"], ["1 update refused: old", "2 update refused: full"]],
            ),
            "d1: 2 update refused: full",
        ),
        (Scripted([OLD, None]), "did not come back within 60 s"),
        (Scripted([OLD]), "did not come back within 60 s"),
        (Scripted([OLD, NEW | {"fw": "1"}]), "answers with 1, not 2"),
    ],
)
def test_update_that_fails_is_told(device, said):
    """Another board, refused at once or later, gone, or back with what it had."""
    with pytest.raises(DeviceFault, match=said):
        updated(device)


def run(*arguments, expect=0):
    done = CliRunner().invoke(app, [*map(str, arguments)])
    assert done.exit_code == expect, done.output
    return done.stdout


def test_firmware_commands_make_a_key_an_update_and_its_signature(tmp_path, monkeypatch):
    """What they write and print fits together, and the key is its owner's alone."""
    monkeypatch.chdir(tmp_path)
    told = run("firmware", "key", "key.pem")
    run("firmware", "make", "unix", "--version", "9", "--out", "u.tar", "--made", "1795000000")
    first = (tmp_path / "u.tar").read_bytes()
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1795000000")
    run("firmware", "make", "unix", "--version", "9", "--out", "u.tar")
    assert (tmp_path / "u.tar").read_bytes() == first
    signature = run("firmware", "sign", "u.tar", "--key", "key.pem").strip()

    rsa.check(
        hashlib.sha256((tmp_path / "u.tar").read_bytes()).digest(),
        signature,
        modulus(tmp_path / "key.pem"),
    )
    assert modulus(tmp_path / "key.pem") in told
    assert "ota_key_file: key.pem.pub" in told
    assert (tmp_path / "key.pem.pub").read_text().strip() == modulus(tmp_path / "key.pem")
    assert (tmp_path / "key.pem").stat().st_mode & 0o077 == 0


def test_firmware_faults_end_with_exit_code_1(tmp_path, monkeypatch):
    """An unknown board, a key that is there, a key that is none."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").write_text("mine")
    (tmp_path / "half.pub").write_text("mine")
    run("firmware", "key", "half", expect=1)
    assert not (tmp_path / "half").exists()

    run("firmware", "make", "toaster", expect=1)
    run("firmware", "key", "there", expect=1)
    run("firmware", "sign", "there", "--key", "there", expect=1)
    assert (tmp_path / "there").read_text() == "mine"
