"""The store that the settings ask for."""

from typing import TYPE_CHECKING

from steam.settings import Settings
from store.archive import Archive
from store.port import Store

if TYPE_CHECKING:
    from store.influx import InfluxStore
    from store.sqlite import SqliteStore

SQLITE_FILE = "steam.sqlite"


def store_of(settings: Settings) -> Store:
    """The store of the deployment, not yet opened; raises MissingSecret."""
    return _of(settings)


def archived_store_of(settings: Settings) -> tuple[Store, Archive]:
    """The store of the deployment, not yet opened, and the same as a backup reads it."""
    store = _of(settings)
    return store, store.archive()


def _of(settings: Settings) -> "SqliteStore | InfluxStore":
    if settings.deployment == "embedded":
        from store.sqlite import SqliteStore

        return SqliteStore(settings.data_path / SQLITE_FILE)
    from store.influx import InfluxStore

    influx = settings.influxdb
    token = influx.token.read("influxdb.token") if influx.token else ""
    return InfluxStore(influx.url, token=token, org=influx.org, database=influx.database)
