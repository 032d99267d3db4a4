"""Where the files lie that travel with the package. What is in them is their readers' business."""

from pathlib import Path

from mtspam.errors import DataError

__all__ = ["data_path"]

_PACKAGE = Path(__file__).resolve().parent


def data_path(name: str) -> Path:
    """Find a file of the project's own data.

    An installed package has them within itself; a checkout has them at its top level.

    Parameters
    ----------
    name
        Path below ``data/``.

    Raises
    ------
    DataError
        Where there is no such file.

    Examples
    --------
    >>> data_path("nothing")
    Traceback (most recent call last):
    ...
    mtspam.errors.DataError: no data file 'nothing' travels with this installation
    """
    places = [_PACKAGE / "data"]
    # Beside an installed package lie strangers' files: only a checkout is looked at.
    if (_PACKAGE.parent / "pyproject.toml").is_file():
        places.append(_PACKAGE.parent / "data")
    for place in places:
        if (place / name).exists():
            return place / name
    raise DataError(f"no data file {name!r} travels with this installation")
