"""The device's names and topics, on both interpreters."""

import unittest

from device.steamlink import contract


class TestContract(unittest.TestCase):
    """What may name a site, a device or a metric."""

    def test_topic_of_valid_names_has_five_levels(self):
        """A topic is the prefix, the site, the device and the kind."""
        self.assertEqual(contract.topic("plant", "cal-1", "data"), "steam/v1/plant/cal-1/data")

    def test_topic_with_wildcard_is_refused(self):
        """A wildcard of MQTT is no name."""
        with self.assertRaises(ValueError):
            contract.topic("plant", "#", "data")
