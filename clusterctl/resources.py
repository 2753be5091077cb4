"""Where the playbooks and templates are: inside the installed package, or at the top of a checkout."""

from pathlib import Path

_PACKAGE = Path(__file__).parent


def folder(name: str) -> Path:
    """Return the folder ``playbooks`` or ``templates``.

    A wheel carries both inside the package; a checkout (and an editable install) has them at its top.
    """
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parent / name
