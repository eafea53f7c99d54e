"""The program of a PIO state machine that counts pulses which last.

A file of its own: while it is assembled, the names of its instructions are the only globals.
"""
# ruff: noqa: F821 - the assembler defines the instructions while it calls the function


def _count():
    # OSR holds how many turns, of two cycles each, a level must last. X: minus the pulses.
    label("low")
    mov(y, osr)
    label("low_lasts")
    jmp(pin, "low")
    jmp(y_dec, "low_lasts")
    label("high")
    mov(y, osr)
    label("high_lasts")
    jmp(pin, "still_high")
    jmp("high")
    label("still_high")
    jmp(y_dec, "high_lasts")
    jmp(x_dec, "low")  # from 0 it goes on to what follows, which by wrapping is "low" too


def program() -> object:
    """The program, assembled."""
    from rp2 import asm_pio

    return asm_pio()(_count)
