"""The firmware as a service of a Raspberry Pi."""
