"""Whom to trust: the ssl context for backends, and a name for what it trusts, for messages.

Trusted is what the system trusts. ``ssl.create_default_context`` finds that, and honours SSL_CERT_FILE and
SSL_CERT_DIR; but the OpenSSL inside an executable built elsewhere looks in the folders of the machine that
it was built on, so the well-known bundles are tried next, and certifi last. NODE_EXTRA_CA_CERTS, which
Claude Code honours, adds to all of them, so that one setting serves both ends.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

from ccrouter.errors import ConnectFailed

#: Debian and its kin, Fedora and its kin, openSUSE, Alpine and macOS.
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


@frozen
class Trust:
    """A client's ssl context, and in words whose certificates it takes."""

    context: ssl.SSLContext
    whose: str


def make_trust(environ: Mapping[str, str]) -> Trust:
    """Reads the certificates: some 10 ms, so once. Raises ConnectFailed for a file that cannot be read."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    whose = _load_authorities(context, environ)
    if path := environ.get("NODE_EXTRA_CA_CERTS"):
        _load(context, path, "NODE_EXTRA_CA_CERTS")
        whose += f" and {path}"
    return Trust(context, whose)


def _load_authorities(context: ssl.SSLContext, environ: Mapping[str, str]) -> str:
    if path := environ.get("SSL_CERT_FILE"):
        # OpenSSL passes over a file that it cannot read; each certificate would be refused, none knew why.
        _load(context, path, "SSL_CERT_FILE")
        return path
    if directory := environ.get("SSL_CERT_DIR"):
        context.load_verify_locations(capath=directory)
        return directory
    places = ssl.get_default_verify_paths()
    # A folder counts though nothing is loaded yet: OpenSSL looks into it for each certificate.
    if context.cert_store_stats()["x509_ca"] or _has_certificates(places.capath):
        return "the system's certificates"
    for bundle in _BUNDLES:
        if Path(bundle).is_file():
            _load(context, bundle, "the system's certificates")
            return bundle
    import certifi  # rarely needed, and it unpacks a file

    _load(context, certifi.where(), "certifi's certificates")
    return "the certificates of the certifi package (the system has none)"


def _has_certificates(directory: str | None) -> bool:
    # OpenSSL's folders name each certificate by a hash and a number.
    return directory is not None and any(Path(directory).glob("*.[0-9]"))


def _load(context: ssl.SSLContext, path: str, source: str) -> None:
    try:
        context.load_verify_locations(cafile=path)
    except ssl.SSLError:
        raise ConnectFailed(f"{source}: {path} holds no certificates in PEM format") from None
    except OSError as error:
        raise ConnectFailed(f"{source}: cannot read {path}: {error.strerror}") from None
