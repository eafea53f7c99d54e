"""`steam panel`: the dashboard of the server deployment."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from steam.console import ConfigOption, command, configure_logs, out, settings_at
from steam.loops import Loops
from steam.plant_watch import PlantWatch
from steam.settings import Settings
from steam.stores import store_of

if TYPE_CHECKING:
    from panel_app.data.hub import LiveHub
    from panel_app.data.live_amqp import AmqpLive
    from panel_app.data.live_mqtt import MqttLive

app = typer.Typer()


@app.command()
@command
def panel(config: ConfigOption = Path("steam.yaml")) -> None:
    """Serve the dashboard beside a running processor; until SIGTERM."""
    settings = settings_at(config)
    configure_logs()
    loops = Loops()
    loops.stop_on_signals()
    with ExitStack() as stack:
        out.print(f"dashboard: {_serve(settings, stack)}", markup=False)
        loops.wait()


def _serve(settings: Settings, stack: ExitStack) -> str:
    from panel_app.data.history import History
    from panel_app.data.hub import LiveHub
    from panel_app.server import Dashboard

    store = store_of(settings)
    store.open()
    stack.callback(store.close)
    history = History(store)
    stack.callback(history.close)
    hub = LiveHub()
    feed = _feed(settings, hub)
    where = settings.panel
    dashboard = Dashboard(
        plant=PlantWatch(settings.plant_path),
        hub=hub,
        history=history,
        commands=feed,
        feed=feed,
        address=where.host,
        port=where.port,
        origins=where.origins,
        language=where.language,
        batch_zone=settings.time_zone,
    )
    dashboard.start()
    stack.callback(dashboard.stop)
    return dashboard.url


def _feed(settings: Settings, hub: "LiveHub") -> "AmqpLive | MqttLive":
    """Live values from the deployment's broker; each needs its own client library."""
    if settings.deployment == "server":
        from panel_app.data.live_amqp import AmqpLive
        from steam.broker import amqp_url

        return AmqpLive(hub, amqp_url(settings))
    from panel_app.data.live_mqtt import MqttLive
    from steam.links import mqtt_address

    broker = mqtt_address(settings)
    return MqttLive(
        hub, broker.host, broker.port, username=broker.username, password=broker.password
    )
