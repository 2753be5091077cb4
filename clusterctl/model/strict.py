"""What all parts of the inventory have in common, and local files that it names."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationInfo

FOLDER = "folder"
"""The key of the validation context that names the inventory's folder."""


class Strict(BaseModel):
    """Unknown keys are mistakes, and nothing changes once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A text file of the operator's computer, read together with the inventory; ``name`` is its last part."""

    name: str
    content: str


def local_path(value: object, info: ValidationInfo) -> Path:
    """The path that an inventory names: relative to the inventory's own folder, ``~`` is the home directory."""
    if not isinstance(value, str) or not value:
        raise ValueError("must be a path, relative to the inventory")
    folder = (info.context or {}).get(FOLDER) or Path()
    return Path(folder) / Path(value).expanduser()


def read_local(path: Path) -> LocalFile:
    """Read a file that the inventory names. Raises ValueError saying what is wrong."""
    try:
        return LocalFile(path.name, path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not a text file in UTF-8") from error
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from error


def _local_text(value: Any, info: ValidationInfo) -> LocalFile:
    return value if isinstance(value, LocalFile) else read_local(local_path(value, info))


LocalText = Annotated[LocalFile, BeforeValidator(_local_text, json_schema_input_type=str)]
