"""Publishes messages at a steady rate: `python -m tests.bench.publisher AMQP_URL RATE SECONDS`."""

import sys
import time

import pika

from tests.bench.bench_pipeline import DEVICES, payload


def main() -> None:
    """Publish one row a message, dated now, one device after the other."""
    url, rate, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        begun = time.monotonic()
        for number in range(rate * seconds):
            time.sleep(max(0.0, begun + number / rate - time.monotonic()))
            device, seq = number % DEVICES, 10_000_000 + number
            channel.basic_publish(
                "amq.topic",
                f"steam.v1.mill.d{device}.data",
                payload(seq, int(time.time() * 1000)),
                pika.BasicProperties(delivery_mode=2),
            )


if __name__ == "__main__":
    main()
