"""Under which names the messages in the store were made."""

from .constant import const
from .copies import Copies

_MOST = const(16)
_GIVEN_UP = ["", ""]


class Origins:
    """From which boot on a device had which [site, device], in two small files in `folder`.

    A record that flash does not take, or loses, leaves what it says to the name before or after.
    """

    def __init__(self, folder: str) -> None:
        self._copies = Copies(folder, "origins")
        self._names = []  # [first boot, site, device], oldest first

    def begin(self, boot: int, name: "list[str]", oldest: int) -> None:
        """`boot` has `name`; the store holds nothing that was made before the boot `oldest`."""
        found = self._copies.load()
        names = found[1]["names"] if found else []
        self._names = list(names)
        if not names or names[-1][1:] != name:
            self._names.append([boot] + name)  # noqa: RUF005 - MicroPython has no star here
        while len(self._names) > 1 and self._names[1][0] <= oldest:
            self._names.pop(0)
        if len(self._names) > _MOST:
            self._names.pop(0)
            self._names[0][1:] = _GIVEN_UP
        if self._names != names:
            self._save()

    def highest_boot(self) -> int:
        """The last boot that began a name, 0 if none did."""
        found = self._copies.load()
        return found[1]["names"][-1][0] if found and found[1]["names"] else 0

    def of(self, boot: int) -> "tuple[str, str] | None":
        """The (site, device) of a boot; None where it is that of now."""
        if not self._names:
            return None
        name = self._at(boot)[1:]
        return None if name == self._names[-1][1:] else (name[0], name[1])

    def is_given_up(self, boot: int) -> bool:
        """Whether nothing of a boot may go out."""
        return bool(self._names) and self._at(boot)[1:] == _GIVEN_UP

    def give_up(self, boot: int) -> None:
        """What was made under the name of this earlier boot goes out no more."""
        name = self._at(boot)[1:]
        if name in (_GIVEN_UP, self._names[-1][1:]):
            return
        for known in self._names:
            if known[1:] == name:
                known[1:] = _GIVEN_UP
        self._save()

    def _at(self, boot: int):
        found = self._names[0]
        for known in self._names:
            if known[0] <= boot:
                found = known
        return found

    def _save(self) -> None:
        try:
            self._copies.save({"names": self._names})
        except OSError:
            return  # for this boot it holds all the same
