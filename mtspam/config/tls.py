"""The section of encryption: with what the service proves who it is, and whom it lets in."""

from dataclasses import dataclass

from mtspam.config.fields import Section, setting
from mtspam.errors import ConfigError

__all__ = ["TlsSettings"]


@dataclass(frozen=True, kw_only=True)
class TlsSettings(Section):
    """TLS, for the places of `spamd.tls_listen` and `http.tls_listen`."""

    certificate: str = setting(
        "",
        doc="PEM file of the service's certificate, followed by those that sign it.",
        reason="none by default: on loopback there is nobody to hide from",
    )
    key: str = setting(
        "",
        doc="PEM file of its private key, without a passphrase; the same file as `certificate` "
        "if empty. The user that the service runs as must be able to read it.",
        reason="many tools put both into one file",
    )
    client_ca: str = setting(
        "",
        doc="PEM file of certificates; if set, only clients with one signed by them are let in.",
        reason="who may ask is settled by the network, unless it is settled here",
    )

    def __post_init__(self) -> None:
        """Check that nothing is set without a certificate.

        Raises
        ------
        ConfigError
            Where it is.
        """
        super().__post_init__()
        if (self.key or self.client_ca) and not self.certificate:
            raise ConfigError("tls.certificate is empty, but tls.key or tls.client_ca is set")
