"""A device as many write it: `umqtt_publisher.py simple|robust HOST PORT NAME FOLDER PERIOD_MS`.

Each period it makes a number, writes it into FOLDER/ledger and publishes it with QoS 1. With
umqtt.simple the program connects anew after any exception; umqtt.robust does that by itself.
"""

import gc
import sys
import time

VARIANT, HOST, PORT, NAME, FOLDER, PERIOD_MS = sys.argv[1:7]
TOPIC = ("umqtt/" + NAME).encode()


def connected(client_of):
    """A client that is connected; it is tried each second until it is."""
    while True:
        try:
            client = client_of(NAME, HOST, int(PORT), keepalive=8)
            client.connect(False)
        except Exception:  # noqa: BLE001 - umqtt raises IndexError too, where a broker closes early
            time.sleep(1)
        else:
            return client


def main() -> None:
    """Publish for ever."""
    module = __import__("umqtt." + VARIANT, None, None, ("MQTTClient",))
    client = connected(module.MQTTClient)
    number, period_ms = 0, int(PERIOD_MS)
    due = time.ticks_ms()
    with open(FOLDER + "/ledger", "a") as ledger:
        while True:
            number += 1
            ledger.write("1 {} {}\n".format(number, time.time_ns() // 1000000))
            ledger.flush()
            try:
                client.publish(TOPIC, str(number).encode(), qos=1)
            except Exception:  # noqa: BLE001 - umqtt raises IndexError too, where a broker closes early
                client = connected(module.MQTTClient)
            if number % 50 == 0:
                gc.collect()
                with open(FOLDER + "/heap", "w") as file:
                    file.write(str(gc.mem_alloc()))
            due = time.ticks_add(due, period_ms)
            time.sleep_ms(max(0, time.ticks_diff(due, time.ticks_ms())))


main()
