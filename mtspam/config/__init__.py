"""Every setting, once: its default, range, unit and reason. Read from TOML, never from elsewhere.

Imported on quick paths, so nothing here needs numpy or numba.
"""

from mtspam.config.sections import JournalSettings, MailSettings, ModelSettings, VerdictSettings
from mtspam.config.settings import Settings

__all__ = [
    "JournalSettings",
    "MailSettings",
    "ModelSettings",
    "Settings",
    "VerdictSettings",
]
