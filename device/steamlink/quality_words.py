"""What OPC quality codes say, for those who read events; loaded when there is one to tell."""

from . import contract

WORDS = {
    contract.GOOD: "good again",
    contract.CONFIGURATION_ERROR: "configuration is wrong",
    contract.NOT_CONNECTED: "not connected",
    contract.DEVICE_FAILURE: "electronics failed",
    contract.SENSOR_FAILURE: "sensor failed or value implausible",
    contract.COMMUNICATION_FAILURE: "no answer",
    contract.WAITING_FOR_INITIAL_DATA: "no reading yet",
    contract.LAST_USABLE: "last usable value",
    contract.EU_EXCEEDED: "beyond its range",
}
