"""The journal of alarm events: identities, the chain of each boiler, and its proof."""

from collections.abc import Iterable
from hashlib import blake2s

import msgspec

from bridge.records import AlarmEvent, AlarmState

MAX_KNOWN_IDS = 16_384
_ENCODER = msgspec.json.Encoder()


def transition_id(boiler: str, definition: str, state: AlarmState, at_us: int) -> str:
    """The identity of a transition: 16 hex digits, a pure function of its four parts."""
    text = f"{boiler}\n{definition}\n{state.value}\n{at_us}"
    return blake2s(text.encode(), digest_size=8).hexdigest()


def chain_hash(event: AlarmEvent) -> str:
    """The hash of an event and, through `prev`, of all before it: 32 hex digits.

    Covers every field but `hash` itself, as JSON in the order of the struct.
    """
    plain = msgspec.structs.replace(
        event,
        hash="",
        value=None if event.value is None else float(event.value),
        setpoint=None if event.setpoint is None else float(event.setpoint),
    )
    return blake2s(_ENCODER.encode(plain), digest_size=16).hexdigest()


class Journal:
    """Chains transitions per boiler and leaves out those already recorded.

    `n` counts a boiler's events from 1 without gaps, `prev` is the hash of the one
    before. It remembers the last 16,384 identities.
    """

    def __init__(self) -> None:
        self._heads: dict[str, tuple[int, str]] = {}
        self._known: dict[str, None] = {}

    def restore(self, heads: dict[str, AlarmEvent], recorded_ids: Iterable[str]) -> None:
        """Go on from the newest recorded event of each boiler, unless it is older than ours."""
        for boiler, head in heads.items():
            if head.n > self.length(boiler):
                self._heads[boiler] = (head.n, head.hash)
            self._remember(head.id)
        for recorded in recorded_ids:
            self._remember(recorded)

    def length(self, boiler: str) -> int:
        """How many events of a boiler there are, as far as this journal knows."""
        return self._heads.get(boiler, (0, ""))[0]

    def knows(self, event: AlarmEvent) -> bool:
        """Tell whether a transition was journalled before."""
        return _id_of(event) in self._known

    def write(self, event: AlarmEvent, recorded_at_us: int) -> AlarmEvent | None:
        """The event with identity, moment of recording and chain; None where it is known."""
        identity = _id_of(event)
        if identity in self._known:
            return None
        self._remember(identity)
        n, prev = self._heads.get(event.boiler, (0, ""))
        chained = msgspec.structs.replace(
            event, id=identity, recorded_at_us=recorded_at_us, n=n + 1, prev=prev
        )
        sealed = msgspec.structs.replace(chained, hash=chain_hash(chained))
        self._heads[event.boiler] = (sealed.n, sealed.hash)
        return sealed

    def _remember(self, identity: str) -> None:
        known = self._known
        known[identity] = None
        if len(known) > MAX_KNOWN_IDS:
            del known[next(iter(known))]


def _id_of(event: AlarmEvent) -> str:
    return transition_id(event.boiler, event.definition, event.state, event.at_us)


def verify(events: Iterable[AlarmEvent]) -> list[str]:
    """Check the chains of the given events, in any order, and say what is wrong with them.

    The first event of each boiler that is given is taken as it is if it is not n = 1, so
    that a part of the journal can be checked. An empty list means that nothing was
    changed, left out or put in; a cut tail shows only against a head kept elsewhere.
    """
    chains: dict[str, list[AlarmEvent]] = {}
    for event in events:
        chains.setdefault(event.boiler, []).append(event)
    faults: list[str] = []
    for boiler in sorted(chains):
        faults += _chain_faults(boiler, sorted(chains[boiler], key=lambda event: event.n))
    return faults


def _chain_faults(boiler: str, chain: list[AlarmEvent]) -> list[str]:
    faults = []
    if chain[0].n == 1 and chain[0].prev:
        faults.append(f"{boiler}: event 1 names an event before it")
    for before, event in zip([None, *chain], chain, strict=False):
        if event.id != _id_of(event):
            faults.append(f"{boiler}: event {event.n} does not carry its own identity")
        if event.hash != chain_hash(event):
            faults.append(f"{boiler}: event {event.n} was changed after it was recorded")
        if before is None:
            continue
        if event.n == before.n:
            faults.append(f"{boiler}: event {event.n} is there twice")
        elif event.n != before.n + 1:
            faults.append(f"{boiler}: events {before.n + 1} to {event.n - 1} are missing")
        elif event.prev != before.hash:
            faults.append(f"{boiler}: event {event.n} does not follow event {before.n}")
    return faults
