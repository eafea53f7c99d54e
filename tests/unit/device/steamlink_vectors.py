"""Reproduce golden vectors with the device's codec; runs under CPython and MicroPython.

Usage: steamlink_vectors.py <folder of steamlink> <vector.json>...
Prints one line a vector: its file, and "same" or what the codec made instead.
"""

import json
import sys


def outcome(codec, contract, vector):
    """Return "same", or a text that shows the difference."""
    site, device, kind = codec.parse_topic(vector["topic"])
    if contract.topic(site, device, kind) != vector["topic"] or kind != vector["kind"]:
        return "topic of another kind"
    if codec.routing_key(vector["topic"]) != vector["routing_key"]:
        return "routing key " + codec.routing_key(vector["topic"])
    payload = codec.ENCODERS[kind](**vector["value"])
    if payload != vector["payload"].encode():
        return "made " + repr(payload)
    if kind == "cmd":
        command = codec.decode_cmd(payload)
        again = codec.encode_cmd(
            id=command.id, op=command.op, args=command.args, exp=command.expires_ms
        )
        if again != payload:
            return "decoded and made " + repr(again)
    return "same"


def main(folder, files):
    """Check every file with the steamlink found in `folder`."""
    sys.path.insert(0, folder)
    from steamlink import codec, contract

    for name in files:
        with open(name, encoding="utf-8") as file:  # noqa: PTH123 - MicroPython has no pathlib
            vector = json.loads(file.read())
        print(name, outcome(codec, contract, vector))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
