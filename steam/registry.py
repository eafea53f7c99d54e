"""The devices of the plant at the broker of the deployment."""

from pathlib import Path

from bridge.account_files import AccountFiles
from bridge.clock import utc_now
from bridge.devices import Devices, NoRoutes
from bridge.inner_accounts import ACCESS_FILE, PASSWORDS_FILE, inner_accounts
from bridge.mosquitto.accounts import mosquitto_accounts
from steam.settings import Settings


def devices_of(settings: Settings) -> Devices:
    """What adds, adopts and revokes devices; raises MissingSecret."""
    if settings.deployment == "server":
        from bridge.rabbitmq.accounts import RabbitAccounts
        from steam.broker import accounts_management_of, topology_of

        accounts = RabbitAccounts(accounts_management_of(settings))
        return Devices(settings.plant_path, accounts, topology_of(settings), utc_now)
    return Devices(settings.plant_path, mqtt_accounts_of(settings), NoRoutes(), utc_now)


def mqtt_accounts_of(settings: Settings) -> AccountFiles:
    """The accounts of the embedded deployment's broker, in its two files."""
    mqtt, folder = settings.mqtt, settings.data_path
    if mqtt.broker == "outside":
        here = Path(settings.folder)
        return mosquitto_accounts(
            here / mqtt.password_file, here / mqtt.acl_file, here / mqtt.pid_file
        )
    folder.mkdir(parents=True, exist_ok=True)
    return inner_accounts(folder / PASSWORDS_FILE, folder / ACCESS_FILE)
