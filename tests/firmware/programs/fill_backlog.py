"""Fills a device's store as an outage would: `fill_backlog.py FOLDER HOURS UTC_MS`.

8 metrics every 10 s, 6 rows a message, of boot 1, ending at UTC_MS. Prints how many messages.
"""

import sys

from device.steamlink import codec
from device.steamlink.boots import Boots
from device.steamlink.outbox import Outbox

FOLDER, HOURS, UTC_MS = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
NAMES = (
    "steam_pressure",
    "water_level",
    "steam_flow",
    "feedwater_temperature",
    "flue_gas_temperature",
    "oxygen",
    "steam_temperature",
    "feedwater_flow",
)
MESSAGES = int(HOURS * 60)
now_ms = 0


def rows(message: int) -> list:
    """One minute of readings."""
    table = []
    for row in range(6):
        wave = (message * 7 + row * 3) % 50
        table.append(
            [row * 10000, 7.5 + wave / 100, 50 + wave, 4.1, 103.2, 214, 3.4, 175.2, 4 + wave / 10]
        )
    return table


number = Boots(FOLDER).begin("power_on")
outbox = Outbox(FOLDER, boot=number, limit_bytes=1048576, up_ms=lambda: now_ms)
outbox.open()
for message in range(MESSAGES):
    payload = codec.encode_data(
        boot=number,
        seq=message + 1,
        up_ms=now_ms,
        utc_ms=UTC_MS - (MESSAGES - message) * 60000,
        clock=2,
        metrics=NAMES,
        rows=rows(message),
    )
    now_ms += 60000
    outbox.put("data", message + 1, payload, True, False)
outbox.flush()
print(outbox.backlog, outbox.drops)
