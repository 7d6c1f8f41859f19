"""A call over TLS: only to a server that the certificates of the system, or of the operator, vouch for."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from unittest.mock import Mock
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from liveroom import callout

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A key and a certificate that it signed for itself, for 127.0.0.1 alone."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "the shop")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    file = tmp_path / "shop.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    return file


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Whom we trust is read once; here once for each test."""
    callout.trusted.cache_clear()
    yield
    callout.trusted.cache_clear()


async def posted(certificate: Path, host: str = "127.0.0.1", times: int = 1) -> list[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWER)
        await writer.drain()
        writer.close()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
        url = urlsplit(f"https://{host}:{server.sockets[0].getsockname()[1]}/review")
        return [(await callout.post(url, {}, b"{}")).status for _ in range(times)]


def test_a_server_that_the_operator_trusts_is_asked_and_its_certificates_are_read_once(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    made = Mock(wraps=ssl.create_default_context)
    monkeypatch.setattr(ssl, "create_default_context", made)
    assert asyncio.run(posted(certificate, times=3)) == [200] * 3
    made.assert_called_once_with()


def test_nobody_else_is_told_what_viewers_say(certificate: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(OSError, match=r"self.signed"):
        asyncio.run(posted(certificate))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    callout.trusted.cache_clear()
    with pytest.raises(OSError, match="localhost"):  # trusted, but not under this name
        asyncio.run(posted(certificate, "localhost"))
