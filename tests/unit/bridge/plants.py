"""Small plants for the tests of topology, accounts and edits."""

from pathlib import Path

from bridge.plant import Plant, parse_plant


def plant_of(*devices: str) -> Plant:
    """A plant of one site `s` and one boiler `b1`, with the named devices."""
    entries = "".join(f"- {{name: {name}, site: s, boiler: b1}}\n" for name in devices)
    text = "sites:\n- name: s\nboilers:\n- {name: b1, site: s}\n"
    return parse_plant(f"{text}devices:\n{entries}" if entries else text, Path("plant.yaml"))
