"""The port by which an operator's commands leave the dashboard."""

from typing import Protocol

from bridge.live import AcknowledgeAlarm


class CommandFailed(Exception):
    """The command did not reach the broker; the text says why. It may be sent again."""


class Commands(Protocol):
    """Takes operator commands to the evaluator."""

    def acknowledge(self, command: AcknowledgeAlarm) -> None:
        """Return once the broker has taken the command, within 5 s; raises CommandFailed.

        That the alarm is acknowledged is seen only in the live values that follow.
        """
