"""Telegraf as the peer of a drain: the same queue, the same messages, the same InfluxDB."""

import os
import shutil
import subprocess
from pathlib import Path

import msgspec

from tests.servers.influxdb import InfluxDB

DATABASE = "telegraf"
_BUILD = (
    'go install -tags "custom,inputs.amqp_consumer,outputs.influxdb_v2,parsers.json_v2,'
    'serializers.influx" github.com/influxdata/telegraf/cmd/telegraf@v1.37.2'
)


def find_telegraf() -> Path | None:
    """The program: TELEGRAF, or on the PATH, or in the user's cache folder."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    found = os.environ.get("TELEGRAF") or shutil.which("telegraf")
    if found is None and (cache / "steam" / "bin" / "telegraf").is_file():
        found = str(cache / "steam" / "bin" / "telegraf")
    return None if found is None else Path(found)


def how_to_get_it() -> str:
    """What to say where there is none."""
    return f"no Telegraf: put it on the PATH, name it in TELEGRAF, or build one: {_BUILD}"


def make_bucket(server: InfluxDB) -> None:
    """Make a database of Telegraf's own on InfluxDB 1.8."""
    statement = f'CREATE DATABASE "{DATABASE}" WITH DURATION INF REPLICATION 1 NAME "raw"'
    server.request("POST", "/query", query={"q": statement})


def stored(server: InfluxDB, database: str) -> int:
    """How many rows a database holds."""
    query = {"db": database, "rp": "raw", "q": 'SELECT count("steam_pressure") FROM "boiler"'}
    answer = msgspec.json.decode(server.request("POST", "/query", query=query))
    series = answer["results"][0].get("series", [])
    return int(series[0]["values"][0][1]) if series else 0


def start(
    program: Path,
    folder: Path,
    amqp_url: str,
    server: InfluxDB,
    metrics: tuple[str, ...],
    rows: int,
) -> "subprocess.Popen[bytes]":
    """Start Telegraf on the queue steam.record; its log is in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "telegraf.conf"
    path.write_text(_configuration(amqp_url, server, metrics, rows))
    with (folder / "telegraf.log").open("wb") as log:
        return subprocess.Popen(
            [str(program), "--config", str(path)], stdout=log, stderr=subprocess.STDOUT
        )


def _configuration(amqp_url: str, server: InfluxDB, metrics: tuple[str, ...], rows: int) -> str:
    """As fast as its documentation and source let it be: large batches, two writers, no gzip on loopback."""
    if rows != 1:
        raise ValueError("json_v2 reads one row of a message by position")
    fields = "".join(
        f"""
    [[inputs.amqp_consumer.json_v2.field]]
      path = "r.0.{number}"
      rename = "{metric}"
      type = "float"
"""
        for number, metric in enumerate(metrics, start=1)
    )
    return f"""\
[agent]
  interval = "1s"
  flush_interval = "1s"
  metric_batch_size = 5000
  metric_buffer_limit = 100000
  omit_hostname = true
  skip_processors_after_aggregators = true

[[inputs.amqp_consumer]]
  brokers = ["{amqp_url}"]
  exchange = ""
  queue = "steam.record"
  queue_passive = true
  binding_key = ""
  prefetch_count = 5000
  max_undelivered_messages = 5000
  data_format = "json_v2"
  name_override = "boiler"
  [[inputs.amqp_consumer.json_v2]]
    measurement_name = "boiler"
    timestamp_path = "t"
    timestamp_format = "unix_ms"
{fields}
    [[inputs.amqp_consumer.json_v2.field]]
      path = "b"
      rename = "boot"
      type = "int"
    [[inputs.amqp_consumer.json_v2.field]]
      path = "n"
      rename = "seq"
      type = "int"

[[outputs.influxdb_v2]]
  urls = ["{server.url}"]
  token = "{server.token}"
  organization = "{server.org}"
  bucket = "{DATABASE}/raw"
  content_encoding = "identity"
  concurrent_writes = 2
"""
