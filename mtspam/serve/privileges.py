"""Giving up root once everything that needs it is done."""

import grp
import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from mtspam.config import ServeSettings
from mtspam.errors import ConfigError

__all__ = ["Owner", "owner_of"]


@dataclass(frozen=True, slots=True)
class Owner:
    """A user and a group of this machine.

    Parameters
    ----------
    name
        The user's name; empty to keep the user's other groups as they are.
    uid, gid
        Their numbers.
    """

    name: str
    uid: int
    gid: int

    def own(self, path: Path) -> None:
        """Give it a file.

        Raises
        ------
        ConfigError
            Where that is not allowed.
        """
        try:
            os.chown(path, self.uid, self.gid)
        except OSError as error:
            raise ConfigError(
                f"{path}: cannot be given to {self.uid}:{self.gid} ({error.strerror}); only root "
                "can run as serve.user"
            ) from error

    def assume(self) -> None:
        """Run as this owner from now on, for good.

        Raises
        ------
        ConfigError
            Where that is not allowed.
        """
        if (os.getuid(), os.getgid()) == (self.uid, self.gid):
            return
        try:
            if self.name:
                os.initgroups(self.name, self.gid)
            else:
                os.setgroups([self.gid])
            os.setresgid(self.gid, self.gid, self.gid)
            os.setresuid(self.uid, self.uid, self.uid)
        except OSError as error:
            raise ConfigError(
                f"serve.user: cannot become {self.uid}:{self.gid} ({error.strerror}); only root "
                "can"
            ) from error
        if self.name:
            os.environ["HOME"] = pwd.getpwuid(self.uid).pw_dir


def owner_of(settings: ServeSettings) -> Owner | None:
    """Return as whom the service is to run, None: as whoever started it.

    Raises
    ------
    ConfigError
        Where the user or the group is not known.
    """
    if not settings.user and not settings.group:
        return None
    name, uid, gid = "", os.getuid(), os.getgid()
    if settings.user:
        try:
            user = pwd.getpwnam(settings.user)
        except KeyError:
            raise ConfigError(f"serve.user is {settings.user!r}, who is not known here") from None
        name, uid, gid = user.pw_name, user.pw_uid, user.pw_gid
    if settings.group:
        try:
            gid = grp.getgrnam(settings.group).gr_gid
        except KeyError:
            raise ConfigError(
                f"serve.group is {settings.group!r}, which is not known here"
            ) from None
    return Owner(name, uid, gid)
