"""The tests of Steam; `tests.servers` starts the real servers they need."""
