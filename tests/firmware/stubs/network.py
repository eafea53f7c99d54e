"""Wi-Fi for tests: `AIR` says which networks there are, and what each attempt comes to."""

STA_IF, AP_IF = 0, 1
STAT_WRONG_PASSWORD, STAT_NO_AP_FOUND, STAT_CONNECT_FAIL = 202, 201, 203
_IDLE, _CONNECTING = 1000, 1001

AIR = {}  # ssid: password
TAKES = [2]  # questions until it is joined
WEDGED = [False]
COUNTRY = []
MADE = []
NAME_SERVER = ["0.0.0.0"]


def country(code):
    if len(code) != 2:
        raise ValueError("country")
    COUNTRY.append(code)


def ipconfig(what):
    return NAME_SERVER[0]


class WLAN:
    PM_NONE = 0

    def __init__(self, interface):
        self.interface = interface
        self.settings = {}
        self.connects = []
        self._on = False
        self._asked = 0
        self._status = _IDLE
        MADE.append(self)

    def active(self, on=None):
        if on is None:
            return self._on
        self._on = on
        if not on:
            self._status = _IDLE
        return None

    def config(self, **settings):
        self.settings.update(settings)

    def connect(self, ssid, password):
        if self._status == _CONNECTING:
            raise OSError("Wifi Internal State Error")
        self.connects.append((ssid, password))
        self._asked = 0
        self._status = _CONNECTING
        if ssid not in AIR:
            self._status = STAT_NO_AP_FOUND
        elif AIR[ssid] != password:
            self._status = STAT_WRONG_PASSWORD

    def disconnect(self):
        if self._status == _IDLE:
            raise OSError("not started")
        self._status = _IDLE
        self._asked = 0

    def isconnected(self):
        if WEDGED[0] or self._status != _CONNECTING or self.connects[-1][0] not in AIR:
            return False
        self._asked += 1
        return self._asked > TAKES[0]

    def status(self, what=None):
        return -61 if what == "rssi" else self._status

    def ipconfig(self, what):
        return ("192.168.4.1" if self.interface == AP_IF else "192.0.2.9", "255.255.255.0")
