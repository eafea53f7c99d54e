"""TLS towards the broker: the plant's CA, certificates required, no way around."""

import binascii
import ssl

from .constant import const

_BEGIN = const("-----BEGIN CERTIFICATE-----")
_END = const("-----END CERTIFICATE-----")
_LAST_ERRNO = const(-255)  # below that, MicroPython's OSErrors carry numbers of mbedTLS
# MBEDTLS_ERR_SSL_CONN_EOF, then ALLOC_FAILED of SSL, X509 and PK.
_PASSING = (-0x7280, -0x7F00, -0x2880, -0x3F80)


def context(ca: "bytes | None" = None):
    """An SSLContext that accepts only certificates of `ca`, and only for the name asked for.

    `ca` is one certificate in DER or several in PEM; None takes the system's where there are any.
    Raises ValueError when `ca` is no certificate, or is missing on a board.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.verify_mode = ssl.CERT_REQUIRED
    if ca is None:
        if not hasattr(made, "load_default_certs"):
            raise ValueError("TLS needs the plant's CA: give the file in mqtt.ca")
        made.load_default_certs()
        return made
    for certificate in _certificates(ca):
        try:
            made.load_verify_locations(cadata=certificate)
        except (OSError, ValueError) as error:
            raise ValueError("the CA is no certificate: {}".format(error)) from None
    return made


def from_file(path: "str | None"):
    """The context of the CA in a file; TlsFault says what to do when that is not possible."""
    try:
        if path is None:
            return context()
        with open(path, "rb") as file:
            return context(file.read())
    except OSError as error:
        why = "the CA file {} cannot be read ({}): copy the plant's CA there".format(path, error)
    except ValueError as error:
        why = "{} ({})".format(error, path)
    # A connection that fails, like others: the device goes on without, and tries again.
    from .mqtt import TlsFault

    raise TlsFault(why)


def is_fault(error: BaseException) -> bool:
    """Whether an error of a connection comes from TLS or a certificate.

    MicroPython tells a bad certificate as ValueError, other faults as OSError with a number of
    mbedTLS; CPython has SSLError. A broker that closed, or no memory, is none: it may pass.
    """
    if isinstance(error, ValueError):
        return True
    if hasattr(ssl, "SSLError"):
        return isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError)
    code = error.args[0] if isinstance(error, OSError) and error.args else 0
    return isinstance(code, int) and code < _LAST_ERRNO and code not in _PASSING


def _certificates(ca: bytes) -> list[bytes]:
    """The certificates in `ca`, each in DER: boards may lack PEM."""
    if not ca.lstrip().startswith(b"-----"):
        return [ca]
    try:
        parts = ca.decode().split(_BEGIN)[1:]
        found = [binascii.a2b_base64("".join(part.split(_END)[0].split())) for part in parts]
    except ValueError:
        raise ValueError("the CA is no PEM") from None
    if not found:
        raise ValueError("the CA has no certificate in it")
    return found
