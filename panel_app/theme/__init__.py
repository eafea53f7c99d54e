"""Colours, type and spacing: grey unless abnormal (ISA-101)."""
