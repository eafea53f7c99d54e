"""The file of a backup: a tar of compressed days, files as they are, and a manifest."""

import gzip
import hashlib
import io
import os
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from bridge.records import Batch, RollUp
from steam.backup.digest import Sum

FORMAT = 1
MANIFEST = "manifest.json"
_LENGTH_BYTES = 4
_LEVEL = 3
_DATA = "data/"


class BackupFault(Exception):
    """A file is no backup, or a damaged one, or of another version; the text says which."""


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
    """What a backup holds; the last member of the archive."""

    format: int
    steam: str
    made_at: str
    deployment: str
    members: list[Member]
    sums: dict[str, Sum] = {}
    heads: dict[str, Head] = {}


class ArchiveWriter:
    """Writes a backup beside its final name, and puts it there once it is whole."""

    def __init__(self, tar: tarfile.TarFile, folder: Path) -> None:
        self._tar = tar
        self._folder = folder
        self.members: list[Member] = []

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> Iterator["ArchiveWriter"]:
        """A new archive at `path`, there and on the disk when this ends without an exception."""
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
                    yield cls(tar, path.parent)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def add_text(self, name: str, content: bytes) -> None:
        """A small file as it is."""
        self._add(name, io.BytesIO(content), len(content), hashlib.sha256(content).hexdigest())

    def add_file(self, name: str, path: Path) -> None:
        """A file as it is."""
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            self._add(name, file, path.stat().st_size, digest)

    def add_day(self, day: str, entries: Iterable[Entry]) -> None:
        """The entries of a day; no member where there are none."""
        with tempfile.NamedTemporaryFile(dir=self._folder, prefix=".day.") as file:
            written = 0
            with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=_LEVEL, mtime=0) as packed:
                for entry in entries:
                    body = msgspec.msgpack.encode(entry)
                    packed.write(len(body).to_bytes(_LENGTH_BYTES))
                    packed.write(body)
                    written += 1
            if written:
                file.flush()
                self.add_file(f"{_DATA}{day}.gz", Path(file.name))

    def end(self, manifest: Manifest) -> None:
        """Close with the manifest, which names every member before it."""
        body = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
        self.add_text(MANIFEST, body)

    def _add(self, name: str, file: io.IOBase | io.BytesIO, size: int, digest: str) -> None:
        info = tarfile.TarInfo(name)
        info.size, info.mode = size, 0o600
        self._tar.addfile(info, file)
        self.members.append(Member(name=name, bytes=size, sha256=digest))


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

    def text(self, name: str) -> bytes | None:
        """A small file, or None where the backup has none of that name."""
        if all(member.name != name for member in self.manifest.members):
            return None
        with self._opened() as tar:
            return self._member(tar, name).read()

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
        except (OSError, EOFError, msgspec.MsgspecError) as error:
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
