"""A boiler simulator that publishes the contract over MQTT: physics, sensors, faults, devices."""
