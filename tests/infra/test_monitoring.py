"""The alert rules and the dashboard for Steam itself name only metrics that exist."""

import json
import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from processor.adapters.prometheus import exposition
from processor.counters import Counters, EvaluatorCounters, NotifierCounters, RecorderCounters

MONITORING = Path(__file__).resolve().parents[2] / "infra" / "monitoring"
RULES = YAML(typ="safe").load(MONITORING / "prometheus" / "steam.rules.yaml")
DASHBOARD = json.loads((MONITORING / "grafana" / "steam.json").read_text(encoding="utf-8"))
GUIDE = (MONITORING.parents[1] / "docs" / "guides" / "operations.md").read_text(encoding="utf-8")
OF_RABBITMQ = {
    "rabbitmq_alarms_free_disk_space_watermark",
    "rabbitmq_alarms_memory_used_watermark",
    "rabbitmq_global_messages_unroutable_dropped_total",
    "rabbitmq_global_messages_unroutable_returned_total",
    "rabbitmq_queue_messages",
}
"""Of its plugin rabbitmq_prometheus, RabbitMQ's own list of metrics."""

ALERTS = {rule["alert"]: rule for group in RULES["groups"] for rule in group["rules"]}
EXPRESSIONS = [rule["expr"] for rule in ALERTS.values()] + [
    target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", [])
]


def exported():
    """Every series name that Steam's /metrics can have."""
    counters = Counters(
        record=RecorderCounters(), evaluate=EvaluatorCounters(), notify=NotifierCounters()
    )
    counters.notify.target("x")
    counters.record.flow.receive(1)
    counters.record.settle(1, 0, {"malformed": 1})
    text = exposition(counters).decode()
    return {
        line.partition("{")[0].partition(" ")[0] for line in text.splitlines() if line[0] != "#"
    }


def named(expression):
    return set(re.findall(r"\b(?:steam|process|rabbitmq)_[a-z_]+", expression))


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_expression_names_only_metrics_that_exist(expression):
    """A renamed metric leaves no alert that can never fire, and no empty panel."""
    assert named(expression) or "vector" in expression
    assert named(expression) <= exported() | OF_RABBITMQ


@pytest.mark.parametrize("name", sorted(exported() - {"process_virtual_memory_bytes"}))
def test_metric_of_steam_is_on_the_dashboard(name):
    """Whatever Steam says of itself can be seen."""
    if name.startswith("steam_"):
        base = re.sub(r"_(bucket|count|sum|created)$", "", name)
        shown = set().union(*map(named, EXPRESSIONS))
        assert {base, f"{base}_bucket", name} & shown or name.endswith("_created")


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_alert_says_what_is_wrong_and_what_to_do(name):
    """Whoever is woken by it needs no manual first; the guide has more."""
    rule = ALERTS[name]

    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["action"]
    assert name in GUIDE


def test_dashboard_panels_do_not_overlap():
    """Every panel has its place on the grid of 24 columns."""
    taken = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert at["x"] + at["w"] <= 24
        assert not cells & taken
        taken |= cells


def test_dashboard_asks_for_its_data_source():
    """It works with whatever the Prometheus of the house is called."""
    sources = {panel["datasource"]["uid"] for panel in DASHBOARD["panels"] if "datasource" in panel}

    assert sources == {"${datasource}"}
