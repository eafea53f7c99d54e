"""Faults on real servers under load, and a ledger that proves nothing was lost."""
