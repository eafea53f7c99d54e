"""The processor on servers: RabbitMQ in, InfluxDB out."""

import random
from datetime import timedelta

import structlog

from bridge.clock import utc_now
from bridge.topology import QueueName
from processor.adapters.amqp_publisher import AmqpPublisher
from processor.adapters.amqp_quarantine import AmqpQuarantine
from processor.adapters.amqp_results import AmqpLiveOut, AmqpResults
from processor.adapters.amqp_source import AmqpSource
from processor.adapters.amqp_troubles import AmqpTroubles
from processor.adapters.prometheus import exposition
from processor.backoff import Backoff
from processor.counters import Counters, EvaluatorCounters, RecorderCounters
from processor.evaluate import Evaluator
from processor.health import Health, HealthServer
from processor.record import Recorder
from processor.rolling import Rolling
from processor.rollup import Touched
from processor.troubles import Telling, TroubleBook
from processor.writing import Writing
from steam.broker import amqp_url
from steam.broker_watch import broker_watch
from steam.loops import Loops, collect_rarely
from steam.plant_watch import PlantWatch
from steam.replica import ReplicaName
from steam.settings import Settings
from steam.stores import store_of
from store.port import Store

log = structlog.get_logger(__name__)

RECORD_QUEUES = [QueueName.RECORD.value, QueueName.RESULTS.value, QueueName.UNROUTED.value]
EVALUATE_QUEUES = [QueueName.EVALUATE.value]


class Processor:
    """The roles of one processor replica, each with connections of its own."""

    def __init__(self, settings: Settings, *, roles: frozenset[str]) -> None:
        self._settings = settings
        self._url = amqp_url(settings)
        self._replica = ReplicaName()
        self._name = self._replica.claim()
        self._plant = PlantWatch(settings.plant_path)
        self._rng = random.Random()
        self._health = Health()
        self._stores: list[Store] = []
        self._troubles = TroubleBook()
        self._touched = Touched()
        self.counters = Counters(
            record=RecorderCounters() if "record" in roles else None,
            evaluate=EvaluatorCounters() if "evaluate" in roles else None,
        )

    def run(self, loops: Loops) -> None:
        """Run the roles until told to stop; raises what ended one of them."""
        collect_rarely()
        server = self._health_server()
        try:
            if self.counters.record is not None:
                loops.start("record", self.recorder(self.counters.record).run)
                loops.start("roll-up", self.rolling(self.counters.record).run)
            if self.counters.evaluate is not None:
                loops.start("evaluate", self.evaluator(self.counters.evaluate).run)
            watch = broker_watch(self._settings, self._plant, self._troubles)
            if watch is not None:
                loops.start("audit", watch.run)
            loops.start("troubles", self._telling().run)
            loops.wait()
        finally:
            if server is not None:
                server.close()
            for store in self._stores:
                store.close()
            self._replica.release()

    def recorder(self, counters: RecorderCounters) -> Recorder:
        """The recorder on its queues."""
        settings = self._settings
        source = self._source(RECORD_QUEUES, "record")
        publisher = AmqpPublisher(self._url, name=f"steam quarantine {self._name}")
        writing = Writing(
            self._store(),
            AmqpQuarantine(publisher),
            counters,
            utc_now,
            zone=settings.zone,
            recorder=self._name,
            backoff=Backoff(0.2, 30, self._rng),
            troubles=self._troubles,
            touched=self._touched,
        )
        self._health.needs("RabbitMQ (record)", lambda: source.fault)
        self._health.needs("store", lambda: writing.fault)
        return Recorder(
            source,
            writing,
            self._plant,
            counters,
            utc_now,
            rule=settings.flush,
            retention=_retention(settings),
            loop=self._health.loop("record"),
            troubles=self._troubles,
            hand_back_after_s=settings.amqp.hand_back_after_s,
        )

    def rolling(self, counters: RecorderCounters) -> Rolling:
        """What computes roll-ups of what the recorder stored."""
        return Rolling(
            self._store(),
            self._touched,
            counters,
            utc_now,
            retention=_retention(self._settings),
            backoff=Backoff(1, 60, self._rng),
        )

    def evaluator(self, counters: EvaluatorCounters) -> Evaluator:
        """The evaluator on its queue."""
        source = self._source(EVALUATE_QUEUES, "evaluate", single_active=True)
        publisher = AmqpPublisher(self._url, name=f"steam results {self._name}")
        evaluator = Evaluator(
            source,
            AmqpResults(publisher, self._url),
            AmqpLiveOut(publisher),
            self._plant,
            self._store(),
            counters,
            utc_now,
            retention=_retention(self._settings),
            backoff=Backoff(0.2, 10, self._rng),
            loop=self._health.loop("evaluate"),
        )
        self._health.needs("RabbitMQ (evaluate)", lambda: source.fault)
        self._health.needs("results", lambda: evaluator.fault)
        return evaluator

    def _telling(self) -> Telling:
        publisher = AmqpPublisher(self._url, name=f"steam troubles {self._name}")
        return Telling(self._troubles, AmqpTroubles(publisher), utc_now)

    def _source(self, queues: list[str], role: str, *, single_active: bool = False) -> AmqpSource:
        return AmqpSource(
            self._url,
            queues,
            prefetch_count=self._settings.amqp.prefetch_count,
            backoff=Backoff(0.2, 15, self._rng),
            name=f"steam {role} {self._name}",
            single_active=single_active,
        )

    def _store(self) -> Store:
        store = store_of(self._settings)
        store.open()
        self._stores.append(store)
        return store

    def _health_server(self) -> HealthServer | None:
        where = self._settings.health
        if where.port is None:
            return None
        server = HealthServer(
            where.host, where.port, self._health, lambda: exposition(self.counters)
        )
        server.open()
        return server


def _retention(settings: Settings) -> timedelta | None:
    days = settings.retention.raw_days
    return None if days is None else timedelta(days=days)
