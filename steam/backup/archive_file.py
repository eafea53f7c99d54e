"""The file of a backup: a tar of compressed days, files as they are, and a manifest."""

import gzip
import hashlib
import io
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec

from bridge.records import Batch, RollUp
from steam.backup.digest import Sum
from steam.backup.fault import BackupFault
from steam.backup.new_file import new_file

FORMAT = 1
MANIFEST = "manifest.json"
_LENGTH_BYTES = 4
_LEVEL = 3
_DATA = "data/"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One record of a day: a batch, or windows of roll-ups."""

    batch: Batch | None = None
    windows: list[RollUp] = []


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One file in the archive."""

    name: str
    bytes: int
    sha256: str


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """Where the chain of a boiler's alarm events ended: a cut tail shows against it."""

    n: int
    hash: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup holds; the last member of the archive.

    `chain_faults` is what was wrong with the chains in the store already when it was backed up.
    """

    format: int
    steam: str
    made_at: str
    deployment: str
    members: list[Member]
    sums: dict[str, Sum] = {}
    heads: dict[str, Head] = {}
    chain_faults: list[str] = []


class ArchiveWriter:
    """Writes a backup beside its final name, and puts it there once it is whole."""

    def __init__(self, tar: tarfile.TarFile, folder: Path) -> None:
        self._tar = tar
        self.folder = folder
        self.members: list[Member] = []

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> Iterator["ArchiveWriter"]:
        """A new archive at `path`, there and on the disk when this ends without an exception."""
        with (
            new_file(path) as file,
            tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar,
        ):
            yield cls(tar, path.parent)

    def add_text(self, name: str, content: bytes) -> None:
        """A small file as it is."""
        self._add(name, io.BytesIO(content))

    def add_file(self, name: str, path: Path) -> None:
        """A file as it is."""
        with path.open("rb") as file:
            self._add(name, file)

    def add_day(self, day: str, entries: Iterable[Entry]) -> None:
        """The entries of a day; no member where there are none."""
        # A tar names a member's size before it: the day is packed aside first.
        with tempfile.TemporaryFile(dir=self.folder) as file:
            written = 0
            with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=_LEVEL, mtime=0) as packed:
                for entry in entries:
                    body = msgspec.msgpack.encode(entry)
                    packed.write(len(body).to_bytes(_LENGTH_BYTES))
                    packed.write(body)
                    written += 1
            if written:
                self._add(f"{_DATA}{day}.gz", file)

    def end(self, manifest: Manifest) -> None:
        """Close with the manifest, which names every member before it."""
        body = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
        self.add_text(MANIFEST, body)

    def _add(self, name: str, file: IO[bytes]) -> None:
        info = tarfile.TarInfo(name)
        info.size, info.mode = file.seek(0, io.SEEK_END), 0o600
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
        file.seek(0)
        self._tar.addfile(info, file)
        self.members.append(Member(name=name, bytes=info.size, sha256=digest))


class ArchiveReader:
    """Reads a backup; every fault of the file is a BackupFault."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.manifest = self._manifest()

    def check(self) -> Iterator[str]:
        """Compare each member with the manifest, naming it; raises BackupFault."""
        with self._opened() as tar:
            for member in self.manifest.members:
                if member.name == MANIFEST:
                    continue
                found = hashlib.file_digest(self._member(tar, member.name), "sha256").hexdigest()
                if found != member.sha256:
                    raise self._fault(f"{member.name} was changed or damaged")
                yield member.name

    def holds(self, name: str) -> bool:
        """Whether the backup has a file of that name."""
        return any(member.name == name for member in self.manifest.members)

    def same(self, name: str, path: Path) -> bool:
        """Whether a file on the disk is the one in the backup."""
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return any((each.name, each.sha256) == (name, digest) for each in self.manifest.members)

    def copy(self, name: str, path: Path) -> None:
        """Put a file of the backup at a path: all of it or nothing."""
        with self._opened() as tar, new_file(path) as file:
            shutil.copyfileobj(self._member(tar, name), file)

    @property
    def days(self) -> list[str]:
        """The names of the members with records, oldest first."""
        return sorted(m.name for m in self.manifest.members if m.name.startswith(_DATA))

    def entries(self, name: str) -> Iterator[Entry]:
        """The entries of a day; raises BackupFault."""
        decoder = msgspec.msgpack.Decoder(Entry)
        try:
            with (
                self._opened() as tar,
                gzip.GzipFile(fileobj=self._member(tar, name), mode="rb") as packed,
            ):
                while head := packed.read(_LENGTH_BYTES):
                    body = packed.read(int.from_bytes(head))
                    yield decoder.decode(body)
        except (OSError, EOFError, zlib.error, msgspec.MsgspecError) as error:
            raise self._fault(f"{name} cannot be read: {error}") from None

    def _manifest(self) -> Manifest:
        with self._opened() as tar:
            try:
                body = self._member(tar, MANIFEST).read()
                manifest = msgspec.json.decode(body, type=Manifest)
            except msgspec.MsgspecError as error:
                raise self._fault(f"its {MANIFEST} is none of Steam's: {error}") from None
        if manifest.format != FORMAT:
            raise self._fault(
                f"of format {manifest.format}, made by Steam {manifest.steam}; this one reads {FORMAT}"
            )
        return manifest

    @contextmanager
    def _opened(self) -> Iterator[tarfile.TarFile]:
        try:
            with tarfile.open(self._path, mode="r:") as tar:
                yield tar
        except (tarfile.TarError, EOFError) as error:
            raise self._fault(f"no backup, or cut short: {error}") from None

    def _member(self, tar: tarfile.TarFile, name: str) -> io.BufferedReader:
        try:
            found = tar.extractfile(name)
        except KeyError:
            raise self._fault(f"{name} is missing; is the file whole?") from None
        if found is None:
            raise self._fault(f"{name} is no file")
        return found  # type: ignore[return-value]

    def _fault(self, text: str) -> BackupFault:
        return BackupFault(f"{self._path}: {text}")
