"""Reads a bus's configuration: what is missing or out of range is a ValueError with its key."""


def whole(cfg, key: str, low: int, high: int, default: "int | None" = None) -> int:
    """The whole number `key`, from `low` to `high`; the default where it is not given."""
    value = cfg.get(key, default)
    if value is True or value is False or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(
            "{}: {} {!r}; a whole number, {} to {}".format(cfg.get("kind"), key, value, low, high)
        )
    return value


def choice(cfg, key: str, known: "tuple[str, ...]", default: "str | None" = None) -> object:
    """The text `key`, one of `known`; null and "none" are None where that is the default."""
    value = cfg.get(key, default)
    if default is None and (value is None or value == "none"):
        return None
    if value not in known:
        raise ValueError(
            "{}: {} {!r}; known: {}".format(cfg.get("kind"), key, value, ", ".join(known))
        )
    return value


def flag(cfg, key: str) -> bool:
    """True, false or not given."""
    value = cfg.get(key, False)
    if value is not True and value is not False:
        raise ValueError("{}: {} {!r}; true or false".format(cfg.get("kind"), key, value))
    return value
