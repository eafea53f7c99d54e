"""Draws the wiring of the reference kit: `python -m device.wiring` writes docs/guides/wiring.svg.

The pins come from each board's kit.json, so that the picture cannot tell other ones.
"""

import json
from pathlib import Path
from xml.sax.saxutils import escape

HERE = Path(__file__).resolve().parent
PICTURE = HERE.parent / "docs" / "guides" / "wiring.svg"

_WIDTH, _HEIGHT = 1240, 1028
_FIELD, _FIELD_WIDTH = 24, 230
_MODULE, _MODULE_WIDTH = 372, 262
_BOARD, _BOARD_WIDTH = 800, 416
_COLUMNS = (("ESP32", 1000), ("Pico W", 1078), ("Pi (BCM)", 1160))
_SIGNAL = _BOARD + 14

_ABOUT = 'role="img" aria-label="Wiring of the reference kit"'
_STYLE = """
text { font-family: "DejaVu Sans", Verdana, sans-serif; font-size: 14px; fill: #1b2733 }
.title { font-size: 20px; font-weight: bold }
.small { font-size: 12px; fill: #46586a }
.bold { font-weight: bold }
.warn { fill: #8c1d18; font-weight: bold }
.field { fill: #fdf1dc; stroke: #a8741a }
.module { fill: #e4eefb; stroke: #2f5f9e }
.board { fill: #e8f5e9; stroke: #2e7d32 }
.wire { stroke: #44556a; stroke-width: 1.6; fill: none }
.dot { fill: #44556a }
.gap { stroke: #c62828; stroke-width: 2.4; stroke-dasharray: 6 5 }
.pin { font-family: "DejaVu Sans Mono", monospace; font-size: 13px }
"""

# top, height, instrument, its second line, words on its wires, module, further lines, isolates,
# (signal on the board, y) of each wire
_ROWS = (
    (
        (104, 116, "Steam temperature", "PT100, 3 wires", "3 wires"),
        ("MAX31865", ("reference 430 Ω",), False),
        (("SCK", 122), ("MISO", 148), ("MOSI", 174), ("CS PT100", 200)),
    ),
    (
        (236, 86, "Flue gas temperature", "thermocouple K", "T+  T−"),
        ("MAX31855", ("junction insulated",), False),
        (("", 252), ("", 278), ("CS flue", 304)),
    ),
    (
        (340, 52, "Steam pressure", "transmitter 4-20 mA", "+  −"),
        ("2 loop isolators, 24 V", ("100 Ω 0.1 % each", "ADS1115, address 0x48"), True),
        (("SDA", 374), ("SCL", 404)),
    ),
    (
        (458, 56, "Feedwater temperature", "DS18B20", "3 wires"),
        ("4.7 kΩ to 3.3 V", ("on the data wire",), False),
        (("1-Wire", 486),),
    ),
    (
        (530, 64, "Feedwater flow", "meter with pulses", "2 wires"),
        ("Optocoupler", ("pull-up 10 kΩ", "10 nF (reed: 1 µF)"), True),
        (("Pulse", 562),),
    ),
    (
        (610, 56, "Flame", "relay, closed: flame", "2 wires"),
        ("Optocoupler", ("24 V through the contact",), True),
        (("Flame", 638),),
    ),
    (
        (686, 56, "Low water", "switch, opens: low water", "2 wires"),
        ("Optocoupler", ("24 V through the contact",), True),
        (("Low water", 714),),
    ),
    (
        (762, 76, "Burner controller", "Modbus RTU, only read", "A  B  C"),
        ("RS485, isolated", ("finds the direction itself",), True),
        (("TX", 784), ("RX", 814)),
    ),
    (
        (858, 56, "Supply of the panel", "24 V DC", "+  −"),
        ("DC/DC 24 V to 5 V", ("isolated, 5 W; for a Pi 15 W",), True),
        (("5 V", 886),),
    ),
)
_LEVEL = (398, 52, "Water level", "transmitter 4-20 mA", "+  −")

# The kernel's own pins of a Raspberry Pi.
_PI = {
    "SCK": "11",
    "MISO": "9",
    "MOSI": "10",
    "CS PT100": "8 (CE0)",
    "CS flue": "7 (CE1)",
    "SDA": "2",
    "SCL": "3",
    "TX": "14",
    "RX": "15",
    "5 V": "pin 2",
}


def pins(board: str) -> dict[str, str]:
    """What a board calls the pin of each signal in the picture."""
    buses = json.loads((HERE / board / "kit.json").read_text(encoding="utf-8"))["buses"]
    where = {
        "SCK": ("pt100", "sck"),
        "MISO": ("pt100", "miso"),
        "MOSI": ("pt100", "mosi"),
        "CS PT100": ("pt100", "cs"),
        "CS flue": ("flue", "cs"),
        "SDA": ("loops", "sda"),
        "SCL": ("loops", "scl"),
        "1-Wire": ("probes", "pin"),
        "Pulse": ("meter", "pin"),
        "Flame": ("flame", "pin"),
        "Low water": ("low_water", "pin"),
        "TX": ("burner", "tx"),
        "RX": ("burner", "rx"),
    }
    if board == "pi":
        found = {signal: str(buses[bus].get(key)) for signal, (bus, key) in where.items()}
        return found | _PI
    found = {signal: str(buses[bus][key]) for signal, (bus, key) in where.items()}
    return found | {"5 V": {"esp32": "5V", "pico_w": "VSYS"}[board]}


def draw() -> str:
    """The picture as SVG."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" {_ABOUT}>',
        f"<style>{_STYLE}</style>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        _text(24, 36, "Steam: wiring of the reference kit", "title"),
        _text(
            24,
            62,
            "Steam only watches. The low-water cut-out and the flame safeguard stay hard-wired; "
            "no wire of this kit goes to a control.",
            "warn",
        ),
        _text(_FIELD, 92, "At the boiler", "bold"),
        _text(_MODULE, 92, "Between", "bold"),
        _box(_BOARD, 72, _BOARD_WIDTH, 852, "board"),
        _text(_SIGNAL, 92, "Board", "bold"),
    ]
    parts += [_text(x, 92, name, "bold", "middle") for name, x in _COLUMNS]
    boards = [pins("esp32"), pins("pico_w"), pins("pi")]
    for field, module, wires in _ROWS:
        parts += _row(field, module, wires)
        for signal, y in wires:
            if signal:
                parts.append(_text(_SIGNAL, y + 5, signal))
                parts += [
                    _text(x, y + 5, pins_[signal], "pin", "middle")
                    for pins_, (_, x) in zip(boards, _COLUMNS, strict=True)
                ]
    parts += _instrument(_LEVEL, _LEVEL[0] + _LEVEL[1] // 2)
    parts += _shared_spi()
    parts += [
        '<line class="gap" x1="24" y1="952" x2="84" y2="952"/>',
        _text(94, 957, "galvanic isolation: nothing but light or a transformer goes across"),
        '<circle class="dot" cx="640" cy="952" r="4"/>',
        _text(652, 957, "wires joined; wires that cross without a dot are not"),
        _text(
            24,
            988,
            "Each module also has 3.3 V and ground of the board; 10 kΩ from each CS to 3.3 V keeps "
            "both chips silent while the board starts.",
            "small",
        ),
        _text(
            24,
            1006,
            "SDA and SCL have 4.7 kΩ to 3.3 V each. A Pi needs none of these four; its TX and RX are "
            "/dev/serial0.",
            "small",
        ),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _row(field: tuple, module: tuple, wires: tuple) -> list[str]:
    top, height = field[0], field[1]
    name, lines, isolates = module
    bottom = _LEVEL[0] + _LEVEL[1] if name.startswith("2 loop") else top + height
    parts = _instrument(field, top + height // 2)
    parts.append(_box(_MODULE, top, _MODULE_WIDTH, bottom - top, "module"))
    first = (top + bottom) // 2 - 9 * len(lines) + 5
    parts.append(_text(_MODULE + 52, first, name, "bold"))
    for number, line in enumerate(lines, 1):
        parts.append(_text(_MODULE + 52, first + 18 * number, line, "small"))
    if isolates:
        x = _MODULE + 26
        parts.append(f'<line class="gap" x1="{x}" y1="{top + 5}" x2="{x}" y2="{bottom - 5}"/>')
    for signal, y in wires:
        if signal:
            parts.append(_wire(_MODULE + _MODULE_WIDTH, y, _BOARD, y))
    return parts


def _instrument(field: tuple, y: int) -> list[str]:
    top, height, name, what, wires = field
    end = _FIELD + _FIELD_WIDTH
    return [
        _box(_FIELD, top, _FIELD_WIDTH, height, "field"),
        _text(_FIELD + 14, top + height // 2 - 3, name, "bold"),
        _text(_FIELD + 14, top + height // 2 + 15, what, "small"),
        _wire(end, y, _MODULE, y),
        _text((end + _MODULE) // 2, y - 7, wires, "small", "middle"),
    ]


def _shared_spi() -> list[str]:
    """The second chip's clock and data join those of the first."""
    parts = []
    for x, upper, lower in ((694, 122, 252), (730, 148, 278)):
        parts.append(_wire(_MODULE + _MODULE_WIDTH, lower, x, lower))
        parts.append(_wire(x, lower, x, upper))
        parts.append(f'<circle class="dot" cx="{x}" cy="{upper}" r="4"/>')
    for label, y in (("SCK", 252), ("SO", 278), ("CS", 304)):
        parts.append(_text(_MODULE + _MODULE_WIDTH - 8, y + 5, label, "small", "end"))
    for label, y in (("CLK", 122), ("SDO", 148), ("SDI", 174), ("CS", 200)):
        parts.append(_text(_MODULE + _MODULE_WIDTH - 8, y + 5, label, "small", "end"))
    return parts


def _box(x: int, y: int, width: int, height: int, kind: str) -> str:
    return f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="6"/>'


def _wire(x1: int, y1: int, x2: int, y2: int) -> str:
    return f'<line class="wire" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/>'


def _text(x: int, y: int, words: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x}" y="{y}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>'


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
