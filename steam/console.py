"""What commands print, and with which exit code they end.

0 done; 1 something failed; 2 the settings or the call are wrong and nothing was started;
3 a broker or a store is away.
"""

import logging
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, NoReturn, ParamSpec

import structlog
import typer
from rich.console import Console

from bridge.accounts import AccountFault
from bridge.broker import BrokerError, BrokerUnavailable
from bridge.device_commands import DeviceFault, visible
from bridge.plant_edit import PlantEditFault
from bridge.settings_file import SettingsError
from steam.recording import RecordingError
from steam.settings import MissingSecret, Settings, load_settings
from store.errors import StoreError, Unavailable

FAILED, WRONG_SETTINGS, AWAY = 1, 2, 3
INSTALL = "install Steam with the extra for it (embedded, processor, panel or gateway)"
_OWN_PACKAGES = ("bridge", "device", "panel_app", "processor", "steam", "store")
_P = ParamSpec("_P")

out = Console()
err = Console(stderr=True, soft_wrap=True)

ConfigOption = Annotated[
    Path, typer.Option("--config", "-c", help="Where steam.yaml is.", envvar="STEAM_CONFIG")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def is_own(lacking: ModuleNotFoundError) -> bool:
    """Whether a module of Steam itself is missing, which no extra brings."""
    return (lacking.name or "").partition(".")[0] in _OWN_PACKAGES


def end(text: str, code: int) -> NoReturn:
    """Say why on standard error and leave with an exit code; what others said in it is harmless."""
    text = "\n".join(map(visible, text.split("\n")))
    err.print(text, style="red", markup=False, highlight=False)
    raise typer.Exit(code)


def settings_at(path: Path) -> Settings:
    """The settings; ends with exit code 2 and one line per fault where they are wrong."""
    try:
        return load_settings(path)
    except SettingsError as error:
        end(str(error), WRONG_SETTINGS)


def command(function: Callable[_P, None]) -> Callable[_P, None]:
    """Turn the errors that a person can do something about into a message and an exit code."""

    @wraps(function)
    def guarded(*args: _P.args, **kwargs: _P.kwargs) -> None:
        try:
            function(*args, **kwargs)
        except ModuleNotFoundError as lacking:
            if is_own(lacking):
                raise
            end(f"{lacking.name} is not installed: {INSTALL}", FAILED)
        except (SettingsError, MissingSecret, RecordingError) as error:
            end(str(error), WRONG_SETTINGS)
        except (BrokerUnavailable, Unavailable) as error:
            end(str(error), AWAY)
        except (
            BrokerError,
            StoreError,
            AccountFault,
            PlantEditFault,
            DeviceFault,
            OSError,
        ) as error:
            end(str(error), FAILED)

    return guarded


def configure_logs(*, level: int = logging.INFO) -> None:
    """Log lines for people on a terminal, JSON lines elsewhere; on standard error."""
    renderer: structlog.types.Processor = (
        structlog.dev.ConsoleRenderer(pad_event_to=0)
        if sys.stderr.isatty()
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
