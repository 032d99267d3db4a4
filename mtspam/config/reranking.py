"""The section of ranking over the network."""

from dataclasses import dataclass

from mtspam.config.fields import Section, setting
from mtspam.errors import ConfigError

__all__ = ["RerankSettings"]

_JOURNAL = ("off", "asked", "all")


@dataclass(frozen=True, kw_only=True)
class RerankSettings(Section):
    """Ranking over HTTP: `/v2/rerank`, `/v1/rerank` and `/feedback`."""

    models: str = setting(
        "mtspam rerank-*",
        doc="Names of models that requests may ask for, as shell patterns, separated by blanks; "
        "all mean the version in use.",
        reason="clients of this protocol insist on a name, and many have one built in",
    )
    journal: str = setting(
        "asked",
        doc="Which rankings are journalled, so that clicks can name them: `off`, none; `asked`, "
        "those whose request says `journal: true`, which needs the password as teaching does; "
        "`all`, each one, whoever asks.",
        reason="who may only ask must not be able to fill the disk",
    )
    max_documents: int = setting(
        10_000,
        low=1,
        high=1_000_000,
        unit="documents",
        doc="Documents of one request, and events of one feedback.",
        reason="what the protocol's first server takes",
    )
    max_body_bytes: int = setting(
        8_388_608,
        low=1_024,
        high=1_073_741_824,
        unit="bytes",
        doc="A request larger than this is refused.",
        reason="ten thousand documents of 800 bytes; reading it stops mail for some hundredths of "
        "a second",
    )
    max_values: int = setting(
        1_000_000,
        low=1,
        high=1_000_000_000,
        unit="numbers",
        doc="Documents of a request times names of features that any of them has.",
        reason="a table of so many numbers is made: 8 MB",
    )
    max_waiting: int = setting(
        64,
        low=1,
        high=100_000,
        unit="requests",
        doc="Requests of one worker that wait for their turn; more are turned away at once.",
        reason="at some milliseconds each, nobody waits much longer than a person would",
    )
    wait_seconds: float = setting(
        10.0,
        low=0.01,
        high=3_600.0,
        unit="seconds",
        doc="How long a request may take, waiting included.",
        reason="nobody looks at a search that takes longer; a large journal may take longer to "
        "read at the first request of a worker",
    )

    def __post_init__(self) -> None:
        """Check the word that has no range.

        Raises
        ------
        ConfigError
            Where it is not allowed.
        """
        super().__post_init__()
        if self.journal not in _JOURNAL:
            raise ConfigError(
                f"rerank.journal is {self.journal!r}, but must be 'off', 'asked' or 'all'"
            )
