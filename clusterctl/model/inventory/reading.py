"""Read the inventory. Every mistake is told at once, with file, line and path, and a suggestion for a misspelt key."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from clusterctl.errors import InputError
from clusterctl.model.inventory.contradictions import Place, contradictions
from clusterctl.model.inventory.document import Inventory
from clusterctl.model.inventory.strict import FOLDER

# libyaml's, where PyYAML was built with it, is many times as fast.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load_inventory(path: Path) -> Inventory:
    """Read the inventory at ``path``.

    Raises InputError naming every mistake with its line when the file cannot be read, is no YAML or does not
    describe a cluster.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InputError(
            f"there is no inventory {path}",
            resolution="copy inventory.example.yaml and edit it, or name another with -i FILE",
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the inventory {path}: {error}") from error
    return parse_inventory(text, str(path))


def parse_inventory(text: str, source: str = "inventory.yaml") -> Inventory:
    """Read an inventory from ``text``; ``source`` is the file's name in errors. Raises InputError."""
    try:
        root = yaml.compose(text, Loader=_LOADER)
        data = yaml.load(text, Loader=_LOADER)  # noqa: S506 - a safe one.
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise InputError(f"{source}{line}: not valid YAML: {problem}") from error
    if not isinstance(data, dict):
        raise InputError(
            f"{source}: an inventory is a mapping with the keys cluster, ssh and hosts",
            resolution="start from inventory.example.yaml",
        )
    mistakes = list(_duplicate_keys(root)) + list(contradictions(data))
    inventory = None
    try:
        inventory = Inventory.model_validate(data, context={FOLDER: Path(source).parent})
    except ValidationError as error:
        mistakes += [_mistake(dict(item)) for item in error.errors()]
    if mistakes or inventory is None:
        located = sorted((_line(root, place), _path(place), message) for place, message in mistakes)
        count = "1 mistake" if len(located) == 1 else f"{len(located)} mistakes"
        raise InputError(
            f"{source}: {count}",
            details="\n".join(f"{source}:{line}: {path}: {message}" for line, path, message in located),
            resolution="correct the file; `clusterctl inventory check` reads it without touching a host",
        )
    return inventory


def _mistake(error: Mapping[str, Any]) -> tuple[Place, str]:
    # A tag such as <flannel> says which of several models was meant; the file knows no such key.
    place = tuple(part for part in error["loc"] if not _is_tag(part))
    match error["type"]:
        case "extra_forbidden":
            known = _fields_at(Inventory, error["loc"][:-1])
            close = get_close_matches(str(error["loc"][-1]), known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(sorted(known))}"
            return place, f"unknown key; {hint}"
        case "missing":
            return place, "is missing"
        case "value_error":
            return place, str(error["ctx"]["error"])
        case "union_tag_invalid":
            tag, known_tags = error["ctx"]["tag"].strip("<>"), error["ctx"]["expected_tags"]
            return (*place, "plugin"), f"must be {re.sub('[<>]', '', known_tags)}, not {tag!r}"
        case "literal_error":
            return place, f"must be {error['ctx']['expected']}, not {error['input']!r}"
        case "string_type":
            return place, f"must be text, not {error['input']!r}; put it in quotes"
        case _:
            message = str(error["msg"])
            return place, message[0].lower() + message[1:]


def _fields_at(model: type[BaseModel], place: Place) -> list[str]:
    """The keys that a mapping at ``place`` may have."""
    for part, after in zip(place, (*place[1:], ""), strict=False):
        if isinstance(part, int) or _is_tag(part):
            continue
        field = model.model_fields.get(part)
        if field is None:  # The key of a free mapping, such as a registry's name.
            continue
        candidates = [field.annotation, *_arguments(field.annotation)]
        models = [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
        model = next((c for c in models if after in _tags(c)), models[0] if models else model)
    return list(model.model_fields)


def _is_tag(part: str | int) -> bool:
    return isinstance(part, str) and part.startswith("<")


def _tags(model: type[BaseModel]) -> tuple[str, ...]:
    """How a model is tagged among several: by its plugin."""
    plugin = model.model_fields.get("plugin")
    return tuple(f"<{name}>" for name in get_args(plugin.annotation)) if plugin else ()


def _arguments(annotation: object) -> Iterator[object]:
    for argument in get_args(annotation):
        yield argument
        yield from _arguments(argument)


def _duplicate_keys(node: yaml.Node | None, place: Place = ()) -> Iterator[tuple[Place, str]]:
    if isinstance(node, yaml.MappingNode):
        counts = Counter(key.value for key, _ in node.value)
        for key, count in counts.items():
            if count > 1:
                yield (*place, key), "the key is given more than once"
        for key, value in node.value:
            yield from _duplicate_keys(value, (*place, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _duplicate_keys(value, (*place, index))


def _line(node: yaml.Node | None, place: Sequence[str | int]) -> int:
    """The line, from 1, of what ``place`` names, or of the nearest thing around it that exists."""
    line = node.start_mark.line + 1 if node else 1
    for part in place:
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == part), None)
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line


def _path(place: Sequence[str | int]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return text.removeprefix(".")
