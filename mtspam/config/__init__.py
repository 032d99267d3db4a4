"""Every setting, once: its default, range, unit and reason. Read from TOML, never from elsewhere.

Imported on quick paths, so nothing here needs numpy or numba.
"""

from mtspam.config.history import HistorySettings
from mtspam.config.processes import ServeSettings
from mtspam.config.ranking import RankingSettings
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
from mtspam.config.settings import Settings
from mtspam.config.tls import TlsSettings

__all__ = [
    "ActionsSettings",
    "HistorySettings",
    "HttpSettings",
    "IdentitySettings",
    "LmtpSettings",
    "MailSettings",
    "MilterSettings",
    "ModelSettings",
    "RankingSettings",
    "RerankSettings",
    "ServeSettings",
    "Settings",
    "SpamdSettings",
    "TlsSettings",
    "VerdictSettings",
]
