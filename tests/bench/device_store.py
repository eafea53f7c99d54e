"""What the device's store makes of 1 MiB of flash; MicroPython runs it: prints one line of JSON.

A device is offline and samples 8 metrics every 10 s; littlefs is the real one, the flash counts.
Arguments: seconds between two samples (10), rows of a message (6).
"""

import json
import sys
import time

from device.steamlink import codec
from device.steamlink.outbox import Outbox
from tests.firmware import flash as flashes

BLOCKS = 256
LIMIT = BLOCKS * 4096
METRICS = (
    ("steam_pressure", 7.93, 2),
    ("water_level", 51.4, 1),
    ("steam_flow", 4.127, 2),
    ("feedwater_temperature", 103.2, 1),
    ("flue_gas_temperature", 214.6, 1),
    ("oxygen", 3.41, 2),
    ("fuel_flow", 0.312, 3),
    ("flame", 1, 0),
)
NAMES = [metric[0] for metric in METRICS]
MOST_HOURS = 60
START_UTC_MS = 1_790_000_000_000


class Noise:
    """The same readings on every run."""

    def __init__(self):
        self.state = 12345

    def near(self, value, decimals):
        self.state = (self.state * 1103515245 + 12345) & 0x7FFFFFFF
        if decimals == 0:
            return value
        return round(value * (0.97 + 0.06 * (self.state >> 8) / 8388608), decimals)


def payload(noise, seq, up_ms, period_ms, rows):
    """One batch as the firmware makes it."""
    table = [
        [row * period_ms] + [noise.near(value, decimals) for _, value, decimals in METRICS]
        for row in range(rows)
    ]
    return codec.encode_data(
        boot=417,
        seq=seq,
        up_ms=up_ms,
        utc_ms=START_UTC_MS + up_ms,
        clock=2,
        metrics=NAMES,
        rows=table,
    )


class Run:
    """Fills the flash until the first message is dropped, then drains it."""

    def __init__(self, period_s, rows):
        self.period_ms = period_s * 1000
        self.rows = rows
        self.now = 0
        self.flash = flashes.Flash(BLOCKS)
        flashes.mounted(self.flash, "/flash")
        self.outbox = Outbox(
            "/flash",
            boot=417,
            limit_bytes=LIMIT,
            up_ms=self.up_ms,
            flash_free=self.free,
        )
        self.outbox.open()

    def up_ms(self):
        return self.now

    def free(self):
        return flashes.free_bytes("/flash")

    def fill(self):
        """Returns the figures of filling."""
        noise = Noise()
        flash, outbox = self.flash, self.outbox
        flash.erases = flash.programmed = 0
        frames = payload_bytes = worst = 0
        step_ms = self.period_ms * self.rows
        while not outbox.drops and self.now < MOST_HOURS * 3600000:
            start_ms = self.now
            while self.now < start_ms + step_ms:
                self.now += 1000
                before = flash.erases
                outbox.tick()
                worst = max(worst, flash.erases - before)
            message = payload(noise, frames + 1, start_ms, self.period_ms, self.rows)
            before = flash.erases
            outbox.put("data", frames + 1, message, True, False)
            worst = max(worst, flash.erases - before)
            frames += 1
            payload_bytes += len(message)
        hours = self.now / 3600000
        return {
            "hours_until_first_drop": round(hours, 1),
            "erases_per_hour": round(flash.erases / hours, 1),
            "write_amplification": round(flash.programmed / payload_bytes, 2),
            "worst_erases_per_commit": worst,
            "frames": frames,
            "payload_bytes_per_reading": round(
                payload_bytes / (frames * self.rows * len(METRICS)), 2
            ),
            "faults": outbox.faults,
        }

    def drain(self):
        """Returns the figures of reading everything back, four at a time."""
        outbox, flash = self.outbox, self.flash
        drops = outbox.drops
        flash.reads = flash.erases = count = 0
        window = []
        started = time.time()
        while True:
            entry = outbox.next_backlog()
            if entry is not None:
                window.append(entry)
                count += 1
            if not window:
                break
            if entry is None or len(window) == 4:
                outbox.acknowledge(window.pop(0))
        return {
            "drained": count,
            "drain_dropped": outbox.drops - drops,
            "drain_reads_per_message": round(flash.reads / count, 1),
            "drain_erases": flash.erases,
            "drain_ms_per_message": round((time.time() - started) * 1000 / count, 2),
        }


def main(period_s=10, rows=6):
    run = Run(period_s, rows)
    figures = run.fill()
    figures.update(run.drain())
    print(json.dumps(figures))


main(*[int(argument) for argument in sys.argv[1:]])
