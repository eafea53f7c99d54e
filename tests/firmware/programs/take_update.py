"""Takes an update as a device would: `take_update.py FOLDER ORDER_FILE`.

The file is JSON: args (of the command `ota`), key, ca (a file, or null); in a file because
MicroPython ends at an argument of more than 255 bytes. Prints one JSON line: the slot, or what
was wrong. With `boot` for ORDER_FILE it starts what is chosen, imports the firmware from there,
confirms it, and prints where it lies.
"""

import asyncio
import json
import sys

from device.steamlink import ota, slots, tls
from device.steamlink.hal.unix import Board


def take(folder, args, key, ca):
    """The outcome of one update."""
    context = tls.from_file(ca) if ca else None
    told = []
    try:
        slot = asyncio.run(
            ota.update(args, Board(folder), key, lambda done, size: told.append(done), context)
        )
    except (OSError, ValueError) as fault:
        return {"fault": str(fault)}
    return {"slot": slot, "bytes": told[-1]}


def boot(folder):
    """Start what is chosen and let it prove itself."""
    chosen = slots.enter(folder)
    if not chosen:
        return {"chosen": ""}
    import steamlink.contract
    import steamlink.session
    import steamlink.slots

    steamlink.slots.confirm(folder)
    return {
        "chosen": chosen,
        "file": steamlink.contract.__file__,
        "version": steamlink.session.VERSION,
    }


if sys.argv[2] == "boot":
    outcome = boot(sys.argv[1])
else:
    with open(sys.argv[2]) as file:
        order = json.load(file)
    outcome = take(sys.argv[1], order["args"], order["key"], order["ca"])
print(json.dumps(outcome))
