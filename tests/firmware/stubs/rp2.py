"""PIO for tests: assembles as the board's rp2.py does, and runs the instructions one by one.

Those that Steam uses: label, jmp, mov, set, push, pull (RP2040 datasheet, 3.4). A machine runs when
`step` is called, with the level of its pin.
"""

_MASK = 0xFFFFFFFF
_REGISTERS = ("x", "y", "osr", "isr")
_CONDITIONS = ("pin", "x_dec", "y_dec")
MACHINES = []


def _names(program, labels):
    found = {name: name for name in _REGISTERS + _CONDITIONS}
    found["label"] = lambda name: labels.update({name: len(program)})
    found["jmp"] = lambda cond, label=None: program.append(
        ("jmp", None, cond) if label is None else ("jmp", cond, label)
    )
    found["mov"] = lambda to, of: program.append(("mov", to, of))
    found["set"] = lambda to, value: program.append(("set", to, value))
    found["push"] = lambda: program.append(("push", None, None))
    found["pull"] = lambda: program.append(("pull", None, None))
    return found


def asm_pio():
    """As on the board: the instructions take the place of the function's globals meanwhile."""

    def assemble(function):
        program, labels = [], {}
        globals_ = function.__globals__
        kept = globals_.copy()
        globals_.clear()
        globals_.update(_names(program, labels))
        function()
        globals_.clear()
        globals_.update(kept)
        return [(op, a, labels[b] if op == "jmp" else b) for op, a, b in program]

    return assemble


class StateMachine:
    def __init__(self, number, program, freq, jmp_pin):
        self.number, self.program, self.freq, self.pin = number, program, freq, jmp_pin
        self.x = self.y = self.osr = self.isr = 0x5A5A5A5A  # undefined at power-up
        self.at = 0
        self.running = False
        self._out, self._in = [], []
        MACHINES.append(self)

    def put(self, word):
        self._out.append(word)

    def get(self):
        return self._in.pop(0)

    def active(self, on):
        self.running = bool(on)

    def exec(self, instruction):
        program = []
        exec(instruction, _names(program, {}))
        self._do(program[0], 0)

    def step(self, level):
        """One cycle, with the pin at `level`."""
        if self.running:
            self.at = self._do(self.program[self.at], level, self.at + 1) % len(self.program)

    def _do(self, instruction, level, following=0):
        op, a, b = instruction
        if op == "jmp":
            return b if self._holds(a, level) else following
        if op == "mov":
            setattr(self, a, getattr(self, b))
        elif op == "set":
            setattr(self, a, b)
        elif op == "push":
            self._in.append(self.isr)
            self.isr = 0
        else:
            self.osr = self._out.pop(0)
        return following

    def _holds(self, condition, level):
        if condition is None:
            return True
        if condition == "pin":
            return level == 1
        register = condition[0]
        value = getattr(self, register)
        setattr(self, register, (value - 1) & _MASK)  # also when it does not jump
        return value != 0
