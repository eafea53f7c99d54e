"""The store that the settings ask for."""

from steam.settings import Settings
from store.port import Store

SQLITE_FILE = "steam.sqlite"


def store_of(settings: Settings) -> Store:
    """The store of the deployment, not yet opened; raises MissingSecret."""
    if settings.deployment == "embedded":
        from store.sqlite import SqliteStore

        return SqliteStore(settings.data_path / SQLITE_FILE)
    from store.influx import InfluxStore

    influx = settings.influxdb
    token = influx.token.read("influxdb.token") if influx.token else ""
    return InfluxStore(influx.url, token=token, org=influx.org, database=influx.database)
