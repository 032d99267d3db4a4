"""All settings together: from a file, to a mapping, to a digest."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self, cast

from mtspam.config.fields import KnownSetting, Section, Value, known_settings
from mtspam.config.history import HistorySettings
from mtspam.config.processes import ServeSettings
from mtspam.config.ranking import RankingSettings
from mtspam.config.reading import Locate, build_sections, read_toml
from mtspam.config.reranking import RerankSettings
from mtspam.config.sections import MailSettings, ModelSettings, VerdictSettings
from mtspam.config.serving import (
    ActionsSettings,
    HttpSettings,
    IdentitySettings,
    LmtpSettings,
    MilterSettings,
    SpamdSettings,
)
from mtspam.config.tls import TlsSettings

__all__ = ["Settings"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings, section by section.

    Examples
    --------
    >>> settings = Settings.from_mapping({"mail": {"max_parts": 10}})
    >>> settings.mail.max_parts, settings.model.shared_bits
    (10, 21)
    """

    mail: MailSettings = field(default_factory=MailSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    verdict: VerdictSettings = field(default_factory=VerdictSettings)
    serve: ServeSettings = field(default_factory=ServeSettings)
    identity: IdentitySettings = field(default_factory=IdentitySettings)
    actions: ActionsSettings = field(default_factory=ActionsSettings)
    spamd: SpamdSettings = field(default_factory=SpamdSettings)
    http: HttpSettings = field(default_factory=HttpSettings)
    milter: MilterSettings = field(default_factory=MilterSettings)
    lmtp: LmtpSettings = field(default_factory=LmtpSettings)
    tls: TlsSettings = field(default_factory=TlsSettings)
    ranking: RankingSettings = field(default_factory=RankingSettings)
    history: HistorySettings = field(default_factory=HistorySettings)
    rerank: RerankSettings = field(default_factory=RerankSettings)

    @classmethod
    def from_toml(cls, path: str | Path) -> Self:
        """Read the settings that a file changes; all others keep their defaults.

        Raises
        ------
        ConfigError
            Where the file is unreadable, a key is unknown (the nearest known one is named) or a
            value is not allowed; the text begins with file and line.
        """
        mapping, locate = read_toml(Path(path))
        return cls._build(mapping, locate)

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, object], *, source: str = "settings") -> Self:
        """Take settings from nested mappings, as `to_mapping` gives them.

        Parameters
        ----------
        mapping
            For each section, its settings by name.
        source
            What the error text names as their origin.

        Raises
        ------
        ConfigError
            Where a key is unknown or a value is not allowed.
        """
        return cls._build(mapping, lambda _key: source)

    @classmethod
    def _build(cls, mapping: Mapping[str, object], locate: Locate) -> Self:
        # The fields of this class are sections by construction; dataclasses cannot say so.
        return cls(**cast("dict[str, Any]", build_sections(cls.sections(), mapping, locate)))

    @classmethod
    def sections(cls) -> dict[str, type[Section]]:
        """List the sections by name."""
        return {item.name: cast("type[Section]", item.type) for item in fields(cls)}

    @classmethod
    def known(cls) -> tuple[KnownSetting, ...]:
        """List all settings, in the order of their declaration."""
        return tuple(known for item in cls.sections().values() for known in known_settings(item))

    def to_mapping(self) -> dict[str, dict[str, Value]]:
        """Give all settings as nested plain dictionaries."""
        return asdict(self)

    def digest(self) -> str:
        """Digest the settings that change what a fold of the journal gives.

        Returns
        -------
        str
            SHA-256 in hexadecimal: equal for two settings that fold a journal to the same model.
        """
        values = self.to_mapping()
        folding = {
            known.key: values[known.key.partition(".")[0]][known.name]
            for known in self.known()
            if known.affects_fold
        }
        return hashlib.sha256(json.dumps(folding, sort_keys=True).encode()).hexdigest()
