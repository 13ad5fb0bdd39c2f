"""A real SMTP server that insists on STARTTLS and a login, and keeps what it is given."""

import datetime
import ipaddress
import shutil
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.servers.process import free_port


@dataclass(frozen=True)
class ReceivedMail:
    """One mail as it arrived."""

    sender: str
    recipients: tuple[str, ...]
    message: EmailMessage

    @property
    def subject(self) -> str:
        """The decoded subject."""
        return str(self.message["Subject"] or "")

    @property
    def text(self) -> str:
        """The plain text part, or the HTML part when there is no other."""
        part = self.message.get_body(preferencelist=("plain", "html"))
        return str(part.get_content()) if part is not None else ""


class SmtpServer:
    """A mail server on the loopback interface whose certificate is its own.

    `host`, `port`, `username`, `password` are what a client needs; `certificate_path` is what it has to trust. While
    `refusal` is set, for example to "451 4.3.0 try later", every mail is refused with it.
    """

    host = "127.0.0.1"
    username = "huoyan"
    password = "correct-horse-battery"

    def __init__(self) -> None:
        """Make the certificate and choose the port."""
        self.port = free_port()
        self.refusal: str | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="huoyan-mail-"))
        self.certificate_path = self._folder / "certificate.pem"
        key_path = self._folder / "key.pem"
        _write_certificate(self.certificate_path, key_path)
        self._mails: list[ReceivedMail] = []
        self._refused = 0
        self._arrival = threading.Condition()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate_path, key_path)
        self._controller = Controller(
            _Handler(self),
            hostname=self.host,
            port=self.port,
            tls_context=context,
            require_starttls=True,
            auth_required=True,
            auth_require_tls=True,
            authenticator=self._authenticate,
        )

    @property
    def messages(self) -> list[ReceivedMail]:
        """What arrived so far, oldest first."""
        with self._arrival:
            return list(self._mails)

    @property
    def refused_count(self) -> int:
        """How many mails were refused because of `refusal`."""
        with self._arrival:
            return self._refused

    def wait_for(self, predicate: Callable[[ReceivedMail], bool], timeout_s: float = 10.0) -> ReceivedMail:
        """Return the first mail that fits, as soon as it has arrived.

        Raises:
            AssertionError: None fits before the deadline; the text names the subjects that did arrive.
        """

        def find() -> ReceivedMail | None:
            return next((mail for mail in self._mails if predicate(mail)), None)

        with self._arrival:
            found = self._arrival.wait_for(find, timeout_s)
            if found is None:
                subjects = [mail.subject for mail in self._mails]
                raise AssertionError(f"expected a fitting mail within {timeout_s:g} s, got {subjects}")
            return found

    def clear(self) -> None:
        """Forget what arrived so far."""
        with self._arrival:
            self._mails.clear()

    def accept(self, mail: ReceivedMail) -> str:
        """Keep a mail, or refuse it, and return the answer for the client."""
        with self._arrival:
            if self.refusal is not None:
                self._refused += 1
                return self.refusal
            self._mails.append(mail)
            self._arrival.notify_all()
            return "250 2.0.0 kept"

    def __enter__(self) -> Self:
        self._controller.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._controller.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        expected = LoginPassword(self.username.encode(), self.password.encode())
        # handled=False lets aiosmtpd tell the client what came of it.
        return AuthResult(success=data == expected, handled=False)


class _Handler:
    """The part that aiosmtpd calls; the names are its protocol."""

    def __init__(self, owner: SmtpServer) -> None:
        self._owner = owner

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        message = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        return self._owner.accept(ReceivedMail(envelope.mail_from, tuple(envelope.rcpt_tos), message))


def _write_certificate(certificate_path: Path, key_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


@pytest.fixture
def smtp_server() -> Iterator[SmtpServer]:
    """Give a mail server with an empty mailbox."""
    with SmtpServer() as server:
        yield server
