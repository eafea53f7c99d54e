"""A board from its first start: `board_starts.py IMAGE CONFIG FEEDS [STARTS [CODE]]`.

IMAGE is a folder with what was put on the board. It is copied into a littlefs of 2 MiB, which
becomes the root of all files, as on the board; CODE runs then (a fault to survive); then boot.py
and main.py run on the chips of tests/firmware/stubs until the watchdog was fed FEEDS times or
the chip was reset, STARTS times. The last line printed is JSON: what the board came to.
"""

import json
import os
import sys
import time

import machine
import network
import onewire
import rp2  # noqa: F401 - later its file is out of reach

from tests.firmware import flash

_TREE = 0x4000
_TIME = time
# A DS18B20 at 80.5 degrees: 0x0508, alarm bytes, 12 bits, reserved, CRC.
_PAD = b"\x08\x05\x4b\x46\x7f\xff\x08\x10\x10"


class _Pt100:
    """MAX31865 with three wires and bias, 161.05 ohm: 160 degrees (IEC 60751)."""

    def transfer(self, data):
        registers = b"\x90\x5f\xe2\xff\xff\x00\x00\x00"
        return (b"\x00" + registers + bytes(len(data)))[: len(data)]


class _Thermocouple:
    """MAX31855: 225 degrees at the hot junction, 25 at the cold one."""

    def transfer(self, data):
        return bytes((0x0E, 0x10, 0x19, 0x00))


class _Loops:
    """ADS1115: 12 mA through 100 ohm on every channel."""

    config = b"\x85\x83"
    register = 0

    def write(self, data):
        self.register = data[0]
        if len(data) > 1:
            self.config = data[1:]

    def read(self, n):
        if self.register == 1:
            return bytes((self.config[0] | 0x80, self.config[1]))
        return b"\x25\x80"  # 9600 steps of 4.096 V / 32768


def wire():
    """The kit on the pins of both boards: the flame burns, the water is above the switch."""
    for pin in (25, 17):
        machine.SPI_CHIPS[pin] = _Pt100()
    for pin in (26, 20):
        machine.SPI_CHIPS[pin] = _Thermocouple()
    machine.I2C_CHIPS[(0, 72)] = _Loops()
    for pin in (32, 33, 14, 15):
        machine.LEVELS[pin] = 0
    onewire.SENSORS[b"\x28\x01\x02\x03\x04\x05\x06\x07"] = _PAD
    network.AIR["plant"] = "secret-word"


def tree(folder, prefix, found):
    """Every file below a folder, by its name on the board."""
    for entry in os.ilistdir(folder):
        path = folder + "/" + entry[0]
        if entry[1] == _TREE:
            tree(path, prefix + "/" + entry[0], found)
        else:
            with open(path, "rb") as file:
                found[prefix + "/" + entry[0]] = file.read()
    return found


def put(files):
    """Write files, and the folders they need."""
    for name in sorted(files):
        parts = name.split("/")
        for depth in range(2, len(parts)):
            try:  # noqa: SIM105 - MicroPython has no contextlib
                os.mkdir("/".join(parts[:depth]))
            except OSError:
                pass
        with open(name, "wb") as file:
            file.write(files[name])


def trial(app=None):
    """For CODE: put an update into slot b, on trial; `app` is the source of another app.py."""
    update = tree("/lib", "/b", {})
    if app is not None:
        update["/b/steamlink/app.py"] = app.encode()
    put(update)
    sys.path.append("/lib")
    from steamlink import slots

    slots.stage("/", "b")


def confirmed():
    """For CODE: an update in slot b that has proved itself."""
    trial()
    from steamlink import slots

    sys.path.insert(0, "/b")
    slots.confirm("/")


def damage(name):
    """For CODE: a file of the firmware that is no program."""
    put({name: b"this is no program\n"})


def run(name):
    """Run a starter as the board does: as the main program."""
    with open(name) as file:
        code = file.read()
    exec(code, {"__name__": "__main__"})


def start():
    """One start of the board: where the firmware came from, and how it ended."""
    for name in list(sys.modules):
        if name.split(".")[0] in ("steamlink", "tests", "device"):
            del sys.modules[name]
    sys.path[:] = ["", ".frozen", "/lib"]
    ended = "stopped"
    try:
        run("/boot.py")
        run("/main.py")
    except machine.Reset:
        ended = "reset"
    package = sys.modules.get("steamlink")
    return [package.__file__.rsplit("/", 2)[0] if package else "", ended]


class _NoWait:
    """`time` without waiting for the technician."""

    def __getattr__(self, name):
        return getattr(_TIME, name)

    def sleep(self, seconds):
        pass


def main(image, config, feeds, starts="1", code=""):
    """Put all in place, start as often as asked, tell."""
    files = tree(image, "", {})
    with open(config, "rb") as file:
        files["/config.json"] = file.read()
    wire()
    machine.LAST_FEED[0] = int(feeds)
    os.umount("/")
    flash.mounted(flash.Flash(512), "/")
    put(files)
    del files
    os.chdir("/")
    sys.modules["time"] = _NoWait()
    exec(code)
    begun = [start() for _ in range(int(starts))]
    found = tree("", "", {})
    result = {"starts": begun, "dogs": [dog.timeout for dog in machine.DOGS]}
    result["feeds"] = sum(dog.feeds for dog in machine.DOGS)
    result["joins"] = [list(pair) for made in network.MADE for pair in made.connects]
    result["files"] = sorted(found)
    for folder in ("events", "data"):
        kept = b"".join(found[name] for name in sorted(found) if name.startswith("/" + folder))
        result[folder] = "".join(chr(byte) for byte in kept if 32 <= byte < 127)
    print(json.dumps(result))


main(*sys.argv[1:])
