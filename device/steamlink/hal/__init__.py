"""Boards: the only place that knows pins, radios, watchdogs and system clocks.

A board is one file here with a class `Board`; nothing else of the firmware imports `machine`,
`network`, `esp32` or `rp2`. Every board has:

    name, folder          "esp32", "pico_w", "pi", "unix", "fake"; where data may be written
    has_wifi              whether a name and password of Wi-Fi are wanted
    TICKS_PERIOD          `ticks_ms()` starts again from 0 after so many ms; 0: never
    ticks_ms()            ms since some start
    utc_ms()              the system's clock in UTC ms, None while it cannot be right
    set_utc_ms(ms)        sets it (not on Linux, whose clock is not ours)
    reset_cause()         one of CAUSES
    restart()             never returns; on Linux the process ends with RESTART_CODE
    start_watchdog(ms)    an object with `feed()`; cannot be stopped; where the hardware cannot
                          wait so long, as long as it can (ESP32 60 s, RP2 8.3 s)
    heap_free()           bytes, or None where nobody counts
    flash_free()          bytes free in the file system of `folder`
    sync()                what was written is on the flash when it returns
    unique_id()           hexadecimal digits, always the same on this board
    network               see below
    bus(cfg)              a bus by its configuration; ValueError says what is wrong in it

    network.up(ssid, password, timeout_ms)   async; OSError says why not
    network.is_up() .down() .rssi() .address()   rssi in dBm or None, address as text or ""
    network.lookup(name)                     async, holds up nothing: the address of a name;
                                             OSError where nobody knows it
    network.reset()                          async; the radio off and on again
    network.access_point(name, password)     async; the address that it gave itself
    network.close_access_point()             takes it off the air

Buses by `cfg["kind"]`. Faults of the wire are OSError; times are ms.

    onewire {pin}                     scan() -> ROMs of 8 bytes; async convert(ms=750);
                                      scratchpad(rom) -> 9 bytes
    spi {id, sck, mosi, miso, cs, baud, polarity, phase}
                                      transfer(bytes) -> as many bytes, `cs` low meanwhile
    i2c {id, scl, sda, freq}          write(addr, bytes); read(addr, n); write_read(addr, bytes, n)
    pin {pin, pull, inverted}         value() -> 0 or 1; pull is "up", "down" or null
    pulse {pin, pull, edge, debounce_us}   count() -> pulses since the start, only grows; counted by
                                      hardware: a flash write stops Python for 80 ms
    uart {id, tx, rx, baud, parity, stop, de}   async write(bytes);
                                      async read(n, timeout_ms) -> up to n bytes; discard();
                                      baud
    tcp {host, port}                  the three calls of uart, and async close(); connects when
                                      first used and again after a fault
"""

CAUSES = ("power_on", "watchdog", "soft", "brownout", "deep_sleep", "unknown")
KINDS = ("onewire", "spi", "i2c", "pin", "pulse", "uart", "tcp")
RESTART_CODE = 75  # EX_TEMPFAIL: whoever supervises the process starts it again

_FILES = {"esp32": "esp32", "pico_w": "rp2", "pi": "pi", "unix": "unix", "fake": "fake"}


def board(name: str, **settings) -> object:
    """Open the board `name`, importing only its file; `folder` among the settings is optional."""
    if name not in _FILES:
        raise ValueError("board {!r} is unknown; known: {}".format(name, sorted(_FILES)))
    file = __name__ + "." + _FILES[name]
    return __import__(file, None, None, ("Board",)).Board(**settings)


def unknown_bus(board_name: str, cfg: "dict[str, object]", known: "tuple[str, ...]") -> ValueError:
    """The error for a bus that this board does not have."""
    return ValueError(
        "bus of kind {!r}: {} has {}".format(cfg.get("kind"), board_name, ", ".join(known))
    )
