"""OPC quality codes, one byte QQSSSSLL (OPC 10000-8 A.4.3.3), and what they mean here."""

GOOD = 192
UNCERTAIN = 64
BAD = 0


def is_good(code: int) -> bool:
    """Tell whether a reading with this code may be trusted without reserve."""
    return code >= GOOD


def is_usable(code: int) -> bool:
    """Tell whether a reading with this code may be judged: good or uncertain."""
    return code >= UNCERTAIN
