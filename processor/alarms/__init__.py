"""Alarms as ISA-18.2 and OPC UA Part 9 describe them: pure, judged in event time."""
