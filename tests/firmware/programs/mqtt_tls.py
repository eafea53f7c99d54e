"""Connects over TLS and publishes once: `mqtt_tls.py HOST PORT CA_FILE SERVER_NAME`; prints how it went."""

import asyncio
import sys
import time

from device.steamlink import mqtt, tls


def up_ms():
    return time.ticks_ms() if hasattr(time, "ticks_ms") else int(time.monotonic() * 1000)


async def main(host, port, ca, name):
    client = mqtt.Client(client_id="tls-1", user="device", password="s3cret", up_ms=up_ms)
    acknowledged = asyncio.Event()

    def on_acknowledged(packet_id):
        print("acknowledged", packet_id)
        acknowledged.set()

    client.on_acknowledged = on_acknowledged
    try:
        await client.connect(
            host, int(port), tls=tls.from_file(ca), server_name=name, timeout_ms=3000
        )
        print("connected")
        await client.publish("t", b"x" * 3000)
        await acknowledged.wait()
        await client.disconnect()
    except mqtt.ConnectionLost as error:
        print(type(error).__name__, error)
    client.close()


asyncio.run(main(*sys.argv[1:]))
