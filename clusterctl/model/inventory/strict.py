"""What all parts of the inventory have in common, and the local files and secrets that it names."""

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationInfo, model_validator

from clusterctl.errors import InputError
from clusterctl.model.secret import Secret

FOLDER = "folder"
"""The key of the validation context that names the inventory's folder."""


class Strict(BaseModel):
    """Unknown keys are mistakes, and nothing changes once it is read.

    A default that is a model is written ``Model.model_construct()``: its validator would be built while it is imported.
    """

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


def _variable(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        raise ValueError("must be the name of an environment variable")
    return value


class SecretSource(Strict):
    """Where a secret is read when it is needed: an environment variable, or a file that only its owner may read.

    The inventory names the place and never holds the secret, so no mistake that it is told shows one.
    """

    env: Annotated[str, BeforeValidator(_variable, json_schema_input_type=str)] | None = None
    file: Annotated[Path, BeforeValidator(local_path, json_schema_input_type=str)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_place(cls, value: Any) -> Any:
        if isinstance(value, dict) and set(value) - {"env", "file"}:
            return value  # Unknown keys are told, with a suggestion.
        if not isinstance(value, dict) or len([part for part in value.values() if part is not None]) != 1:
            raise ValueError("must be {env: NAME} or {file: PATH}; the secret itself is never written here")
        return value

    def __str__(self) -> str:
        return f"the environment variable {self.env}" if self.env else str(self.file)

    def read(self, what: str) -> Secret:
        """Read the secret, one line of text. Raises InputError, in which it is called ``what``."""
        text = self._text(what).removesuffix("\n").removesuffix("\r")
        if not text or "\n" in text or "\0" in text:
            problem = "is more than one line" if text else "is empty"
            raise InputError(f"{what}: {self} {problem}", resolution="put the secret there, alone, as one line of text")
        return Secret(text)

    def _text(self, what: str) -> str:
        if self.file:
            return _private_text(self.file, what)
        name = str(self.env)
        if name not in os.environ:
            raise InputError(
                f"{what}: {self} is not set",
                resolution=f"set it without showing it: read -rs {name} && export {name}",
            )
        return os.environ[name]


def _private_text(path: Path, what: str) -> str:
    """The text of a file that only its owner may read. Raises InputError."""
    try:
        with path.open(encoding="utf-8") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise InputError(
                    f"{what}: others may read {path} (its mode is {mode:04o})", resolution=f"chmod 600 {path}"
                )
            return file.read()
    except UnicodeDecodeError as error:
        raise InputError(f"{what}: {path} is not text in UTF-8", resolution="write the secret there as text") from error
    except OSError as error:
        raise InputError(
            f"{what}: cannot read {path}: {error.strerror}",
            resolution=f"write the secret there, for yourself alone: (umask 077; cat > {path})",
        ) from error
