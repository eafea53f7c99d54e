"""`steam doctor` on real servers: every connection is tested, and every fault is named."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.system.rig import Rig

pytestmark = pytest.mark.system

PLANT = "sites: [{name: mill}]\nboilers: [{name: b1, site: mill}]\ndevices: []\n"


@pytest.fixture
def hook():
    """A notification target on loopback: its port, and what was posted."""
    posts = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            posts.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port, posts
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def rig(tmp_path, rabbitmq_vhost, influxdb, hook):
    extra = f"""\
notifications:
  language: en
  routes: [{{name: shift, targets: ["json://127.0.0.1:{hook[0]}/"]}}]
"""
    rig = Rig(tmp_path, rabbitmq_vhost, influxdb, PLANT, extra)
    rig.prepare()
    return rig


def findings(rig, *arguments, expect=0):
    """What doctor found, by what it tested."""
    said = rig.run("doctor", "--json", *arguments, expect=expect)
    return {each["what"]: each for each in json.loads(said)}


def test_doctor_where_all_is_well_tests_every_connection(rig, hook):
    """Store, management, AMQP, MQTT and targets are well; nobody is sent anything unasked."""
    found = findings(rig)

    assert all(each["ok"] for each in found.values())
    assert list(found) == [
        "settings",
        "store",
        "RabbitMQ",
        "RabbitMQ, AMQP",
        "MQTT broker",
        "notifications",
    ]
    assert hook[1] == []


def test_doctor_asked_to_notify_sends_each_target_a_test(rig, hook):
    """The operator sees that messages arrive, before the first alarm does."""
    assert "took a test notification" in findings(rig, "--notify")["notifications"]["text"]

    assert [post["title"] for post in hook[1]] == ["Steam: test"]


def test_doctor_names_each_connection_that_fails(rig):
    """A wrong password, a wrong port and another retention are three findings; exit code 1."""
    path = rig.folder / "steam.yaml"
    text = path.read_text().replace("raw_days: null", "raw_days: 30")
    path.write_text(text.replace(f"port: {rig.rabbitmq.mqtt_port}", "port: 1"))
    rig.secrets["STEAM_AMQP_URL"] = rig.rabbitmq.amqp_url.replace(
        f":{rig.rabbitmq.password}@", ":wrong@"
    )

    found = findings(rig, expect=1)

    assert "`steam store init`" in found["store"]["text"]
    assert "refuses the account" in found["RabbitMQ, AMQP"]["text"]
    assert "is it up" in found["MQTT broker"]["text"]
    assert found["notifications"]["ok"]
