"""How much of the quarantine one device may fill: pure, with the messages' own times as `now`."""

from dataclasses import dataclass
from enum import Enum

from bridge.messages import Reason
from bridge.topics import BadTopic, parse_routing_key
from processor.quarantine import BadMessage

SHARE = 10_000
_REFILL_US = 86_400_000_000
_MOST_UNKNOWN = 100
_SWEEP_US = 60_000_000

Key = tuple[str, str, Reason]


class Verdict(Enum):
    """Whether a bad message is kept; FIRST_OVER says that its share has just been filled."""

    KEEP = "keep"
    FIRST_OVER = "first_over"
    OVER = "over"


@dataclass(slots=True)
class _Share:
    """What one key has used, as of `at_us`, and whether that it was filled has been told."""

    used: float
    at_us: int
    told: bool = False


class Quota:
    """A share of the quarantine for each device and reason; beyond it messages are only counted.

    `share` messages are admitted at once; what was used comes back evenly within a day, so
    that a device which goes on for ever adds `share` a day and no more. Nothing is kept over
    a restart: each start admits a full share again, and each replica has a share of its own;
    the bound of the quarantine itself holds then. Of devices that nobody knows, the first
    hundred names have a share each and all others one together, as have all topics outside
    the grammar, so that inventing names fills neither this table nor the quarantine.
    """

    def __init__(self, share: int = SHARE, *, most_unknown: int = _MOST_UNKNOWN) -> None:
        self._share = share
        self._most_unknown = most_unknown
        self._shares: dict[Key, _Share] = {}
        self._unknown: set[Key] = set()
        self._swept_us = 0

    def __len__(self) -> int:
        return len(self._shares)

    def judge(self, message: BadMessage) -> Verdict:
        """Whether `message` is kept; its own `at_us` is the moment."""
        key = self._key(message)
        share = self._shares.setdefault(key, _Share(0.0, message.at_us))
        self._refill(share, message.at_us)
        if share.used + 1 <= self._share:
            share.used += 1
            return Verdict.KEEP
        if share.told:
            return Verdict.OVER
        share.told = True
        return Verdict.FIRST_OVER

    def owner(self, message: BadMessage) -> str:
        """The device whose share a message counts against; "" for the one that many have together."""
        return self._key(message)[1]

    def _refill(self, share: _Share, now_us: int) -> None:
        elapsed_us = max(0, now_us - share.at_us)
        share.used = max(0.0, share.used - elapsed_us * self._share / _REFILL_US)
        share.at_us += elapsed_us
        if share.used < self._share / 2:
            share.told = False

    def _key(self, message: BadMessage) -> Key:
        """The share that a message counts against."""
        shared = ("", "", message.reason)
        try:
            topic = parse_routing_key(message.routing_key)
        except BadTopic:
            return shared
        key = (topic.site, topic.device, message.reason)
        if message.reason is not Reason.UNKNOWN_DEVICE or key in self._unknown:
            return key
        if len(self._unknown) >= self._most_unknown:
            self._sweep(message.at_us)
        if len(self._unknown) >= self._most_unknown:
            return shared
        self._unknown.add(key)
        return key

    def _sweep(self, now_us: int) -> None:
        """Forget unknown devices whose share is whole again."""
        if now_us - self._swept_us < _SWEEP_US:
            return
        self._swept_us = now_us
        for key in list(self._unknown):
            self._refill(self._shares[key], now_us)
            if not self._shares[key].used:
                del self._shares[key]
                self._unknown.discard(key)
