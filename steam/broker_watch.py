"""Keeps RabbitMQ as the plant needs it while a processor runs, and tells what people should know."""

import threading
from collections.abc import Callable

import structlog

from bridge.audit import Finding
from bridge.broker import BrokerError
from bridge.plant import Plant
from bridge.rabbitmq.topology import QueueDepth, RabbitTopology
from bridge.topology import MAX_BYTES, QueueName, topology
from processor.troubles import TroubleBook
from steam.broker import topology_of
from steam.settings import MissingSecret, Settings

log = structlog.get_logger(__name__)

TOPOLOGY_DIFFERS = "topology_differs"
TOPOLOGY_REPAIRED = "topology_repaired"
BROKER_UNAUDITED = "broker_unaudited"
QUEUE_FILLING = "queue_filling"
DEAD_LETTERS = "dead_letters"

_FAILURES = 3
_FILLING = 0.8


class BrokerWatch:
    """Audits the broker at the start and every `every_s`; repairs what is missing, prunes nothing.

    What the first audit repairs is only logged: a new broker lacks everything.
    """

    def __init__(
        self,
        broker: RabbitTopology,
        plant: Callable[[], Plant],
        troubles: TroubleBook,
        *,
        every_s: float,
    ) -> None:
        self._broker = broker
        self._plant = plant
        self._troubles = troubles
        self._every_s = every_s
        self._is_first = True
        self._failures = 0
        self._said = ""

    def run(self, stopping: threading.Event) -> None:
        """Audit until told to stop."""
        self.turn()
        while not stopping.wait(self._every_s):
            self.turn()

    def turn(self) -> None:
        """Audit once; a broker that cannot be audited is told after the third time."""
        try:
            findings = self._broker.audit(topology(self._plant()))
            depths = self._broker.depths()
        except BrokerError as error:
            self._fail(str(error))
            return
        except Exception as error:  # noqa: BLE001 - whatever the API answers ends no processor
            self._fail(f"its management API gave a strange answer: {error!r}")
            return
        self._failures = 0
        self._troubles.clear(BROKER_UNAUDITED)
        self._tell_findings(findings)
        self._tell_depths(depths)
        self._is_first = False

    def _fail(self, why: str) -> None:
        self._failures += 1
        self._say(f"the broker cannot be audited: {why}")
        if self._failures >= _FAILURES:
            self._troubles.stand(BROKER_UNAUDITED, why)

    def _tell_findings(self, findings: list[Finding]) -> None:
        repaired = [finding.text for finding in findings if finding.repaired]
        left = [finding.text for finding in findings if not finding.repaired]
        if repaired:
            log.warning("broker repaired", findings=repaired[:20], count=len(repaired))
            if not self._is_first:
                self._troubles.happen(TOPOLOGY_REPAIRED, _summed_up(repaired))
        if left:
            self._say(f"the broker is not as plant.yaml needs it: {_summed_up(left)}")
            self._troubles.stand(TOPOLOGY_DIFFERS, _summed_up(left))
        else:
            self._said = ""
            self._troubles.clear(TOPOLOGY_DIFFERS)

    def _tell_depths(self, depths: list[QueueDepth]) -> None:
        bounds = {name.value: bound for name, bound in MAX_BYTES.items()}
        for depth in depths:
            if depth.queue not in bounds:
                continue
            name = f"{QUEUE_FILLING}_{depth.queue.replace('.', '-')}"
            if depth.bytes >= _FILLING * bounds[depth.queue]:
                filled = f"{depth.bytes / bounds[depth.queue]:.0%}"
                self._troubles.stand(name, f"{depth.messages} messages, {filled} of its bound")
            else:
                self._troubles.clear(name)
            if depth.queue == QueueName.DEAD and depth.messages:
                self._troubles.stand(DEAD_LETTERS, f"{depth.messages} messages in {depth.queue}")
            elif depth.queue == QueueName.DEAD:
                self._troubles.clear(DEAD_LETTERS)

    def _say(self, text: str) -> None:
        if text != self._said:
            self._said = text
            log.warning(text)


def _summed_up(texts: list[str]) -> str:
    more = f" (and {len(texts) - 1} more)" if len(texts) > 1 else ""
    return f"{texts[0]}{more}"


def broker_watch(
    settings: Settings, plant: Callable[[], Plant], troubles: TroubleBook
) -> BrokerWatch | None:
    """The watch, or None where no account for it is given; the log says which is missing."""
    try:
        broker = topology_of(settings)
    except MissingSecret as error:
        log.warning("the broker is not audited", reason=str(error))
        return None
    return BrokerWatch(broker, plant, troubles, every_s=settings.management.audit_every_s)
