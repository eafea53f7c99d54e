"""`python -m device.pi --folder /var/lib/steam-device`: the firmware on a Raspberry Pi.

Its configuration (config.json) and its data lie in the folder. Needs no root: the user needs
the groups gpio, i2c, spi, dialout of the buses that it uses.
"""

import argparse
import os

from device import one_process
from device.steamlink import slots


def main() -> None:
    """Start the firmware of the slot that is in force, else this one."""
    parser = argparse.ArgumentParser(prog="python -m device.pi", description=__doc__)
    parser.add_argument("--folder", default="/var/lib/steam-device", help="configuration and data")
    folder = parser.parse_args().folder
    os.umask(0o077)  # passwords lie in the folder; systemd's unit says the same
    one_process.lock(folder)
    slot = slots.enter(folder)
    try:
        if slot:
            from steamlink import app, hal
        else:
            from device.steamlink import app, hal
        app.main(hal.board("pi", folder=folder))
    except KeyboardInterrupt:
        return  # before it ran: nothing to keep
    except Exception:
        slots.blame(slot)
        raise


if __name__ == "__main__":
    main()
