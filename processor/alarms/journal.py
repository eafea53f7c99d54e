"""The journal of alarm events: identities, the chain of each boiler, and its proof."""

from collections.abc import Iterable, Mapping
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


class Head(msgspec.Struct, frozen=True):
    """Where a boiler's chain stands: the newest event's number, hash and moment of recording."""

    n: int = 0
    hash: str = ""
    recorded_us: int = 0


_NO_HEAD = Head()


class Journal:
    """Chains transitions per boiler and leaves out those already recorded.

    `n` counts a boiler's events from 1, `prev` is the hash of the one before, and
    `recorded_at_us` never falls nor stands along a chain. A journal that is `unsure`
    whether it has seen all records begins each chain's next piece at the number of
    milliseconds since 1970 instead: above whatever others have recorded unseen.
    It remembers the last 16,384 identities.
    """

    def __init__(self) -> None:
        self._heads: dict[str, Head] = {}
        self._known: dict[str, None] = {}
        self._unsure = False
        self._begun: set[str] = set()

    def doubt(self) -> None:
        """Others may have recorded what this journal has not seen."""
        self._unsure = True
        self._begun.clear()

    def trust(self) -> None:
        """All records have been seen."""
        self._unsure = False

    def restore(self, heads: Mapping[str, AlarmEvent], recorded_ids: Iterable[str]) -> None:
        """Go on from the newest recorded event of each boiler, unless it is older than ours."""
        for boiler, head in heads.items():
            ours = self.head(boiler)
            if head.recorded_at_us > ours.recorded_us:
                self._heads[boiler] = Head(max(head.n, ours.n), head.hash, head.recorded_at_us)
            self._remember(head.id)
        for recorded in recorded_ids:
            self._remember(recorded)

    def head(self, boiler: str) -> Head:
        """Where the chain of a boiler stands, as far as this journal knows."""
        return self._heads.get(boiler, _NO_HEAD)

    def knows(self, event: AlarmEvent) -> bool:
        """Tell whether a transition was journalled before."""
        return _id_of(event) in self._known

    def write(self, event: AlarmEvent, recorded_at_us: int) -> AlarmEvent | None:
        """The event with identity, moment of recording and chain; None where it is known."""
        identity = _id_of(event)
        if identity in self._known:
            return None
        self._remember(identity)
        head = self.head(event.boiler)
        recorded_us = max(recorded_at_us, head.recorded_us + 1)
        chained = msgspec.structs.replace(
            event,
            id=identity,
            recorded_at_us=recorded_us,
            n=self._next(event.boiler, head, recorded_us),
            prev=head.hash,
        )
        sealed = msgspec.structs.replace(chained, hash=chain_hash(chained))
        self._heads[event.boiler] = Head(sealed.n, sealed.hash, recorded_us)
        return sealed

    def _next(self, boiler: str, head: Head, recorded_us: int) -> int:
        if not self._unsure or boiler in self._begun:
            return head.n + 1
        self._begun.add(boiler)
        return max(head.n + 1, recorded_us // 1000)

    def withdraw(self, events: Iterable[AlarmEvent]) -> None:
        """Take back the newest events, which nobody was handed: they may be written again."""
        withdrawn: set[str] = set()
        for event in events:
            self._known.pop(event.id, None)
            if event.boiler not in withdrawn:
                withdrawn.add(event.boiler)
                self._heads[event.boiler] = Head(event.n - 1, event.prev, event.recorded_at_us - 1)

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

    Numbers may leap where an event follows the one before by its hash. One kind of break
    is no forgery: an event that "begins the chain anew" has a number far above, and
    names an earlier event, or none, as the one before it. Its writer took over while the
    records could not be read, or while some were still on their way to the store.
    """
    chains = Chains()
    for event in events:
        chains.add(event)
    return chains.faults()


class _Link(msgspec.Struct, frozen=True, gc=False):
    """What of an event its chain is checked by."""

    n: int
    prev: str
    hash: str
    named: bool
    whole: bool


class Chains:
    """The chains of events given one by one, in any order; keeps a few bytes of each event."""

    def __init__(self) -> None:
        self._chains: dict[str, list[_Link]] = {}

    def add(self, event: AlarmEvent) -> None:
        """Take an event."""
        link = _Link(
            event.n,
            event.prev,
            event.hash,
            named=event.id == _id_of(event),
            whole=event.hash == chain_hash(event),
        )
        self._chains.setdefault(event.boiler, []).append(link)

    def holds(self, boiler: str, n: int, hash_: str) -> bool:
        """Whether the event of that number and hash was given."""
        return any(link.n == n and link.hash == hash_ for link in self._chains.get(boiler, []))

    def faults(self) -> list[str]:
        """What `verify` says of them."""
        return [
            fault
            for boiler in sorted(self._chains)
            for fault in _chain_faults(boiler, sorted(self._chains[boiler], key=lambda it: it.n))
        ]


def _chain_faults(boiler: str, chain: list[_Link]) -> list[str]:
    faults = []
    if chain[0].n == 1 and chain[0].prev:
        faults.append(f"{boiler}: event 1 names an event before it")
    earlier = {""}
    for before, event in zip([None, *chain], chain, strict=False):
        if not event.named:
            faults.append(f"{boiler}: event {event.n} does not carry its own identity")
        if not event.whole:
            faults.append(f"{boiler}: event {event.n} was changed after it was recorded")
        if before is not None and event.n == before.n:
            faults.append(f"{boiler}: event {event.n} is there twice")
        elif before is not None and event.prev != before.hash:
            faults.append(f"{boiler}: {_break(before, event, earlier)}")
        earlier.add(event.hash)
    return faults


def _break(before: _Link, event: _Link, earlier: set[str]) -> str:
    """What is between two events of which the second does not name the first."""
    if event.n == before.n + 1:
        return f"event {event.n} does not follow event {before.n}"
    if event.prev in earlier:
        return f"event {event.n} begins the chain anew after event {before.n}"
    return f"events {before.n + 1} to {event.n - 1} are missing"
