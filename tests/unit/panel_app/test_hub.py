"""The hub: one writer, immutable snapshots, wakes without data."""

import threading

from bridge.clock import from_us
from bridge.live import LiveBoiler, LiveReading, LiveSite
from panel_app.data.hub import LiveHub
from panel_app.live.wakeup import Wakeup


def live(site="norte", at_us=1, value=7.9):
    reading = LiveReading(value, at_us)
    boiler = LiveBoiler(boiler="c1", readings={"steam_pressure": reading}, alarms=[], devices=[])
    return LiveSite(site=site, at_us=at_us, boilers=[boiler])


def test_hub_put_raises_the_version_and_keeps_other_sites():
    """A new site's values leave the others' in place."""
    hub = LiveHub()

    hub.put(live("norte"))
    before = hub.snapshot()
    hub.put(live("sul"))

    assert set(before.sites) == {"norte"}
    assert set(hub.snapshot().sites) == {"norte", "sul"}
    assert hub.snapshot().version > before.version
    assert hub.snapshot().boiler("sul", "c1").readings["steam_pressure"].value == 7.9
    assert hub.snapshot().boiler("sul", "c2") is None


def test_hub_takes_the_alarms_of_steam_itself_beside_the_sites():
    """They come as site "" and leave the sites' values alone."""
    hub = LiveHub()
    hub.put(live("norte"))

    hub.put(live("", at_us=9))

    assert set(hub.snapshot().sites) == {"norte", ""}
    assert hub.snapshot().boiler("norte", "c1").readings["steam_pressure"].at_us == 1


def test_hub_link_is_told_once():
    """The same state again changes nothing; another one has its time."""
    hub = LiveHub(lambda: from_us(5_000_000))

    hub.link(connected=True, address="127.0.0.1:1883")
    version = hub.snapshot().version
    hub.link(connected=True)

    assert hub.snapshot().version == version
    assert hub.snapshot().link.since_us == 5_000_000
    assert hub.snapshot().link.address == "127.0.0.1:1883"


def test_hub_first_disconnected_state_is_dated():
    """A feed that never connected is known to be away, and since when."""
    hub = LiveHub(lambda: from_us(5_000_000))

    hub.link(connected=False, address="127.0.0.1:1883")

    assert hub.snapshot().link.since_us == 5_000_000


def test_hub_wakes_every_session_and_leaves_out_a_broken_one():
    """A session that cannot be woken does not silence the others, and is not tried again."""
    hub = LiveHub()
    woken = []

    def broken():
        woken.append("broken")
        raise RuntimeError("the document is gone")

    hub.subscribe(broken)
    unsubscribe = hub.subscribe(lambda: woken.append("whole"))
    hub.put(live())
    hub.put(live())
    unsubscribe()
    hub.put(live())

    assert woken == ["broken", "whole", "whole"]
    assert hub.subscribers == 0


def test_hub_readers_never_see_a_torn_snapshot():
    """Version and values belong together, however the threads interleave."""
    hub = LiveHub()
    torn = []
    done = threading.Event()

    def read():
        while not done.is_set():
            snapshot = hub.snapshot()
            if snapshot.sites and snapshot.version != snapshot.sites["norte"].live.at_us:
                torn.append(snapshot)

    reader = threading.Thread(target=read)
    reader.start()
    for at_us in range(1, 2_000):
        hub.put(live(at_us=at_us))
    done.set()
    reader.join()

    assert torn == []


def test_wakeup_turns_a_burst_into_one_tick():
    """Ten changes before the document's turn are one tick; the next change is another."""
    hub = LiveHub()
    asked, ticks = [], []
    wakeup = Wakeup(hub, asked.append, lambda: ticks.append(hub.snapshot().version))
    wakeup.arm()

    for _ in range(10):
        hub.put(live())
    asked.pop(0)()
    hub.put(live())

    assert ticks == [10]
    assert len(asked) == 1


def test_wakeup_disarmed_ticks_no_more():
    """A session that has ended is neither asked nor ticked, even where a tick was pending."""
    hub = LiveHub()
    asked, ticks = [], []
    wakeup = Wakeup(hub, asked.append, lambda: ticks.append(1))
    wakeup.arm()
    hub.put(live())

    wakeup.disarm()
    hub.put(live())
    asked[0]()

    assert len(asked) == 1
    assert ticks == []
    assert hub.subscribers == 0
