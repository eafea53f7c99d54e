"""Updates as tests make them, on both interpreters: archives, keys that nobody trusts, signatures."""

import binascii
import hashlib
import json

KEY = (
    "a762ce9c85e829d5a20b67ef19ebe31f0453dca2deff63a9aed35988b802db41"
    "41bfbea716920eb21a250edea4b0df0b939782c090729c06cf3f47bd85f84f13"
    "f90563f113ee80ac9ce8f9b24613fd78b94dbce640537823cb3573b4924dca07"
    "ba38cc9025908d76d05e8078ca09442abb8f150c3c73b10f3dd871dd5299e219"
    "45d280372a3cffd2a545ecb892aee5ff88d03f71abc2633dcbc159961eea9179"
    "e979c435cef9d6160471b55f69b278f9f0245c985d11926ce4682a9e4ec1e192"
    "c0ac39fa63c6be72f912742cbc324abfd692603337a3bd7dde6aa98fb7520ab3"
    "7c3027bc5116990cf991256b557e150a8caa58cf7db5f2f1f03ff898eec57db3"
)
_EXPONENT = (
    "00d384889242a49e38d80c91ca1377820a2fedc9620769b3073964da3f6a4831"
    "c8c4cd089f1c66752b9ade396c1fb16229bed836e21fa6b483e66090c76e03d9"
    "e9e3446c86b8292b70f4d772b154dcedf120389bfc5a4d20041b45f070be708e"
    "5c35769109966e94550ffa5b5e47f06db3924fbcc9399af8a3ca0339dff40181"
    "335fa1d882305279bd2f3017c8ba1163ad9c8a2e8a80b8b9cfdb7334b77c6f19"
    "7a69255ffc9846e656fddd7219f6a52a5ededd4f6f87ef1ac29400e1f71e56f4"
    "039e6ab7484ef1289ea33391f2430bba743751058c0435295959b82db48a9290"
    "5b6afa873905324735252a6aabe46cafd3501080664267a7a2835ce4eed53c8d"
)
OTHER_KEY = (
    "a709303f02723c2f6fc7aee7f1ab1861026651c59a2a9e8cde57f5d366f809ea"
    "b74ca97d3b4f2edfa38665925bf0af35ad6da03bc9eef92be83b04df9b4db934"
    "f784ac5574ff2d7999d8108ccaa0274de96187b98c453221b0dcda40f41709de"
    "75f5829b7c2013f6e122273b795d089b0fc20c3e07132eae6acdc53af87d8a92"
    "dd68f3eac7f47461a9b47c36591519196b3ae841a84b72992a08145646b36e5a"
    "8cbfe2d072d8209d82cee0bd36a5eca16ac516bebf9ea69fdfa0b07de99fa740"
    "ee975545f7c645bf0ba7ea57fbeb89d67233da950d7d3ee25917472e58ac801a"
    "332ca167babdc4291e2b45a4dbff8a9eb30da1b12da071589588a908145c7897"
)
_OTHER_EXPONENT = (
    "13ca75e9f14b41b049293aa306b243f832859708b7a47716afbd7245f2fc4e88"
    "7de15a6f99185fb065baa5cc3a9280dff64577e7bd9c4fef90db754f5d224f60"
    "64375707e50ddb007e66e8471636f59138a6b2a31c6892710578956f7ebc4012"
    "189dd734bef73a0655546b9b935c9f8967cb9111c45ad47c1bf1777dee3549b6"
    "bdfe7a00c1cf2cdf74678ad82fbc7492d5c831288907d4ae6b320813d94461b9"
    "de7c53768b1909f2965a8bd2597f7acba29d0fe5ec7a292a985ec9df3297a519"
    "6baf531afa3153e65993089dbf95fea98cd89bfc786beb5f0348470e89725ea9"
    "a226bd8e71598559a88d18fa6b3a6731b86630d1261d233aa13710e7b6b766a1"
)

_BLOCK = 512
_SIGNED: dict = {}
_SHA256 = binascii.unhexlify("3031300d060960864801650304020105000420")


def entry(name: str, content: bytes = b"", kind: str = "0", link: str = "", prefix: str = ""):
    """One member of a ustar archive: header, content, padding."""
    header = bytearray(_BLOCK)

    def put(at: int, text: str) -> None:
        raw = text.encode()
        header[at : at + len(raw)] = raw

    put(0, name)
    put(100, "0000644\x000000000\x000000000\x00")
    put(124, f"{len(content):011o}\x00")
    put(136, "00000000000\x00")
    put(148, "        ")
    put(156, kind + link)
    put(257, "ustar\x0000")
    put(345, prefix)
    put(148, f"{sum(header):06o}\x00 ")
    return bytes(header) + content + bytes(-len(content) % _BLOCK)


def archive(*entries: bytes) -> bytes:
    """A whole archive."""
    return b"".join(entries) + bytes(2 * _BLOCK)


def update(version: str, board: str = "fake", more: bytes = b"", made: object = 7) -> bytes:
    """An update whose firmware says its version."""
    about = json.dumps({"v": 1, "board": board, "version": version, "made": made}).encode()
    return archive(
        entry("steamlink/__init__.py"),
        entry("steamlink/app.py", f"VERSION = {version!r}\n".encode() * 300),
        entry("steamlink/hal/__init__.py", b"# a folder in a folder\n"),
        entry("update.json", about),
        more,
    )


def sign(digest: bytes, key: str = KEY, exponent: str = _EXPONENT) -> str:
    """The signature in hex of a digest (RFC 8017 8.2.1); MicroPython needs 0.3 s for one."""
    if (digest, key) not in _SIGNED:
        _SIGNED[digest, key] = _sign(digest, key, exponent)
    return _SIGNED[digest, key]


def _sign(digest: bytes, key: str, exponent: str) -> str:
    padded = b"\x00\x01" + b"\xff" * (256 - 3 - 19 - 32) + b"\x00" + _SHA256 + digest
    return "{:0512x}".format(pow(int.from_bytes(padded, "big"), int(exponent, 16), int(key, 16)))


def sign_with_other(digest: bytes) -> str:
    """A signature of somebody else."""
    return sign(digest, OTHER_KEY, _OTHER_EXPONENT)


def command(content: bytes, url: str) -> dict:
    """The arguments of a command `ota` for an update."""
    digest = hashlib.sha256(content).digest()
    return {
        "url": url,
        "size": len(content),
        "sha256": binascii.hexlify(digest).decode(),
        "sig": sign(digest),
    }
