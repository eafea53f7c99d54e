"""A processor's name among the others of its host."""

from steam.replica import ReplicaName


def test_replica_names_of_one_host_differ_while_held_and_return_when_free(tmp_path):
    """Two at once have two names; whoever comes after the first takes its name over."""
    first, second, third = (ReplicaName(tmp_path, "boiler-house") for _ in range(3))

    assert first.claim() == "boiler-house"
    assert second.claim() == "boiler-house-2"
    first.release()
    assert third.claim() == "boiler-house"
    second.release()
    third.release()
