"""Runs the tests of one file on MicroPython: `suite.py test_contract`; ends with 1 if one failed."""

import sys
import unittest


def main(name: str) -> int:
    """Run every TestCase of the module; 0 when all passed."""
    module = __import__("tests.firmware.both." + name, None, None, (name,))
    suite = unittest.TestSuite()
    for found in sorted(dir(module)):
        case = getattr(module, found)
        if isinstance(case, type) and issubclass(case, unittest.TestCase):
            suite.addTest(case)
    result = unittest.TestRunner().run(suite)
    for trace in result.exceptions:
        print(trace)
    return 1 if result.failuresNum else 0


sys.exit(main(sys.argv[1]))
