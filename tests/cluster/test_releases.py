"""The releases' life on a cluster: installed, scaled, upgraded, rolled back, uninstalled."""

import json
import time

import pytest

from tests.cluster.kubernetes import CHARTS, CommandFailed, until

RELEASES = {"steam-broker": [], "steam-influxdb": [], "steam": ["--set", "panel.replicas=2"]}
PERIOD_S = 58
"""The autoscaler's 60 s, less what a look once a second may miss."""


@pytest.fixture(scope="module")
def installed(cluster):
    """All three releases, as a newcomer installs them."""
    if not cluster.is_simulated:
        pytest.skip("on a cluster that runs containers this needs published images")
    for release, more in RELEASES.items():
        cluster.helm(
            "install", release, str(CHARTS / release), *more, "--wait", "--timeout", "180s"
        )
    return cluster


def replicas(cluster):
    return cluster.get("deployment", "steam-processor")["spec"]["replicas"]


def drive(cluster, goal, *, cpu_m, memory_mi, within_s):
    """Keep a load on until there are `goal` processors; the counts seen and when."""
    seen, moments = [], []
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        cluster.use("processor", cpu_m=cpu_m, memory_mi=memory_mi)
        now = replicas(cluster)
        if not seen or now != seen[-1]:
            seen.append(now)
            moments.append(time.monotonic())
        if now == goal:
            break
        time.sleep(1)
    return seen, moments


def test_autoscaler_goes_from_one_to_four_and_back(installed):
    """1 -> 2 at once, 2 -> 4 a minute later, down to 1 after a minute of low load each step."""
    cluster = installed
    begun = time.monotonic()

    def measured():
        metrics = (
            cluster.get("hpa", "steam-processor").get("status", {}).get("currentMetrics") or []
        )
        return sum(
            "averageUtilization" in m.get("resource", {}).get("current", {}) for m in metrics
        )

    cluster.use("processor", cpu_m=10, memory_mi=75)
    until(lambda: measured() == 2, "the autoscaler sees CPU and memory")
    assert replicas(cluster) == 1

    seen, up = drive(cluster, 2, cpu_m=350, memory_mi=75, within_s=120)
    assert seen == [1, 2]
    seen, up4 = drive(cluster, 4, cpu_m=1600, memory_mi=75, within_s=240)
    assert seen == [2, 4]
    assert up4[-1] - up[-1] >= PERIOD_S

    # An upgrade in the middle of a load does not set the count back.
    cluster.helm(
        "upgrade", "steam", str(CHARTS / "steam"), "--reuse-values", "--set", "panel.language=en"
    )
    assert replicas(cluster) == 4

    low = time.monotonic()
    seen, down = drive(cluster, 1, cpu_m=40, memory_mi=75, within_s=300)
    assert seen[0] == 4
    assert seen[-1] == 1
    assert down[-1] - low >= PERIOD_S
    print(
        f"1->2 at {up[-1] - begun:.0f} s, 2->4 at {up4[-1] - begun:.0f} s, low load at "
        f"{low - begun:.0f} s, 1 again at {down[-1] - begun:.0f} s: {seen}"
    )


def test_upgrade_and_rollback_change_what_they_should(installed):
    """A new tag is rolled out, and the former one comes back."""

    def tag():
        pod = installed.get("deployment", "steam-panel")["spec"]["template"]["spec"]
        return pod["containers"][0]["image"].rpartition(":")[2]

    before = tag()
    revision = json.loads(installed.helm("history", "steam", "-o", "json"))[-1]["revision"]
    chart = str(CHARTS / "steam")
    installed.helm(
        "upgrade", "steam", chart, "--reuse-values", "--set", "image.tag=9.9.9", "--wait"
    )
    assert tag() == "9.9.9"

    installed.helm("rollback", "steam", str(revision), "--wait")

    assert tag() == before


def test_passwords_stay_the_same_over_an_upgrade(installed):
    """The broker knows them from its first start on."""
    before = installed.get("secret", "steam-broker-accounts")["data"]

    installed.helm("upgrade", "steam-broker", str(CHARTS / "steam-broker"), "--set", "gateway=true")

    assert installed.get("secret", "steam-broker-accounts")["data"] == before
    assert len(set(before.values())) == 8


def test_cron_jobs_come_and_go_with_their_switch(installed):
    """`make create-jobs` and `make delete-jobs`; one made by hand from a CronJob succeeds."""
    chart = str(CHARTS / "steam")
    installed.helm("upgrade", "steam", chart, "--reuse-values", "--set", "cronJobs.enabled=true")
    names = [each["metadata"]["name"] for each in installed.get("cronjobs")["items"]]
    assert sorted(names) == ["steam-backup", "steam-rollup"]

    installed.kubectl("create", "job", "--from=cronjob/steam-rollup", "by-hand")
    until(
        lambda: installed.get("job", "by-hand").get("status", {}).get("succeeded"), "the job's end"
    )
    installed.helm("upgrade", "steam", chart, "--reuse-values", "--set", "cronJobs.enabled=false")

    assert installed.get("cronjobs")["items"] == []


def test_job_that_prepares_queues_and_buckets_runs_at_every_revision(installed):
    """It is part of the release, and succeeds."""
    jobs = until(lambda: installed.get("jobs")["items"], "a job")
    prepares = [job for job in jobs if "prepare" in job["metadata"]["name"]]

    assert len(prepares) == 1
    until(
        lambda: installed.get("job", prepares[0]["metadata"]["name"])["status"].get("succeeded"),
        "its end",
    )


def evict(cluster, pod):
    name = pod["metadata"]["name"]
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": name, "namespace": cluster.namespace},
    }
    path = f"/api/v1/namespaces/{cluster.namespace}/pods/{name}/eviction"
    cluster.kubectl("create", "--raw", path, "-f", "-", given=json.dumps(eviction))


def test_disruption_budget_lets_one_dashboard_go_at_a_time(installed):
    """A node that is drained never takes the last dashboard with it."""
    until(
        lambda: installed.get("pdb", "steam-panel")["status"].get("disruptionsAllowed") == 1,
        "the budget to know its pods",
    )
    first, second = installed.pods("panel")
    nodes = [node["metadata"]["name"] for node in installed.get("nodes")["items"]]

    # Without a place to go the first one's successor is not there yet.
    installed.kubectl("cordon", *nodes)
    try:
        evict(installed, first)
        with pytest.raises(CommandFailed, match=r"disruption budget|TooManyRequests"):
            evict(installed, second)
    finally:
        installed.kubectl("uncordon", *nodes)


def test_uninstall_leaves_only_what_must_outlive_it(installed):
    """Passwords and volumes stay, for the next release; nothing else does."""
    for release in RELEASES:
        installed.helm("uninstall", release, "--wait", "--timeout", "120s")

    gone = "deployment,statefulset,hpa,cronjob,job,service,configmap,networkpolicy,pdb"

    def left():
        items = installed.get(gone)["items"]
        return [i["metadata"]["name"] for i in items if i["metadata"]["name"] != "kube-root-ca.crt"]

    until(lambda: not left(), "everything to be gone")
    secrets = [each["metadata"]["name"] for each in installed.get("secrets")["items"]]
    assert sorted(secrets) == ["steam-broker-accounts", "steam-influxdb-access"]
    claims = [each["metadata"]["name"] for each in installed.get("pvc")["items"]]
    assert "steam-notifier" in claims
