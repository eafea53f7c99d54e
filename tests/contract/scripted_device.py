"""A device that answers commands as a test wants it, over a real MQTT connection."""

import threading

from device.steamlink import codec
from tests.contract.mqtt_client import MqttClient


class ScriptedDevice:
    """Answers each command with what `answer(command)` gives: (error or None, result or None).

    An answer of None keeps silent. `heard` is what came, in order.
    """

    def __init__(self, client: MqttClient, site: str, device: str, answer) -> None:
        self.heard: list[codec.Command] = []
        self._client = client
        self._topic = f"steam/v1/{site}/{device}/"
        self._answer = answer
        self._ending = threading.Event()
        assert client.subscribe(self._topic + "cmd")
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ending.set()
        self._thread.join(10)

    def say(self, body: bytes) -> None:
        """Publish on the topic of answers."""
        self._client.publish(self._topic + "ack", body)

    def _work(self) -> None:
        taken = 0
        while not self._ending.wait(0.01):
            for message in self._client.messages[taken:]:
                taken += 1
                command = codec.decode_cmd(bytes(message.payload))
                self.heard.append(command)
                answer = self._answer(command)
                if answer is not None:
                    error, result = answer
                    ack = codec.encode_ack(id=command.id, ok=error is None, err=error, res=result)
                    self.say(ack)


class ConfigOfDevice:
    """What firmware does with its two passwords: for rotations without the firmware itself."""

    def __init__(self, password: str) -> None:
        self.password, self.next, self.boot = password, "", 7
        self.refusing: set[str] = set()

    def answer(self, command):
        """The answer to get_config, patch_config and identify."""
        if command.op in self.refusing:
            return "as the test wants it", None
        if command.op == "patch_config":
            assert list(command.args) == ["mqtt"]
            assert list(command.args["mqtt"]) == ["password_next"]
            self.next = command.args["mqtt"]["password_next"]
            return None, {"crc": 1, "trial_ms": 300000}
        if command.op == "get_config":
            shown = {"password": "***", "password_next": "***" if self.next else ""}
            return None, {"config": {"mqtt": shown}, "trial": False}
        if command.op == "restart":
            return None, None
        return None, {"boot": self.boot, "board": "esp32", "fw": "0.2.0"}


class LivingDevice:
    """Connects with the one or the other password, again whenever it is cut off or restarted."""

    def __init__(self, bench, config: ConfigOfDevice) -> None:
        self._bench = bench
        self._config = config
        self._ending, self._cut = threading.Event(), threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._live, daemon=True)

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(15)
        return self

    def __exit__(self, *_):
        self._ending.set()
        self._thread.join(15)

    def _live(self) -> None:
        while not self._ending.is_set():
            config = self._config
            for password in filter(None, (config.password, config.next)):
                with self._bench.client(password) as client:
                    if client.answer == "Success":
                        if password != config.password:
                            config.password, config.next = password, ""
                        config.boot += 1
                        self._answer_until_cut(client)
                        break

    def _answer_until_cut(self, client: MqttClient) -> None:
        self._cut.clear()
        with ScriptedDevice(client, "s", self._bench.device, self._answer):
            self._ready.set()
            while not (client.closed or self._cut.is_set() or self._ending.wait(0.01)):
                pass

    def _answer(self, command):
        if command.op == "restart":
            self._cut.set()
        return self._config.answer(command)
