"""Adapters of the processor's ports; vendor types and exceptions stop here."""
