"""What the client pods of a verification logged, and what it shows. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answer:
    """One request: where it went, and the answer, or the problem if there was none."""

    kind: str
    target: str
    ok: bool
    text: str


def last_round(log: str) -> tuple[Answer, ...] | None:
    """The answers of the newest round that is complete in the log; None when there is none yet."""
    rounds: dict[str, list[Answer]] = {}
    complete = None
    for line in log.splitlines():
        number, _, rest = line.partition(" ")
        if not number.isdigit():
            continue
        if rest == "end":
            complete = number
            continue
        words = rest.split(" ", 3)
        if len(words) == 4 and words[2] in ("=", "!"):
            kind, target, mark, text = words
            rounds.setdefault(number, []).append(Answer(kind, target, mark == "=", text.strip()))
    return tuple(rounds.get(complete, ())) if complete else None


def direct_problems(answers: tuple[Answer, ...], replicas: Mapping[str, str]) -> Iterator[str]:
    """Why not every replica was reached by its address; ``replicas`` are names by address."""
    direct = {answer.target: answer for answer in answers if answer.kind == "direct"}
    for address, name in replicas.items():
        answer = direct.get(address)
        if answer is None:
            yield f"{name} at {address} was not asked"
        elif not answer.ok:
            yield f"{name} at {address} is not reached: {answer.text}"
        elif answer.text != name:
            yield f"{address} answers {answer.text!r}, not {name}"


def service_problems(answers: tuple[Answer, ...], replicas: Mapping[str, str]) -> Iterator[str]:
    """Why the Service does not lead to every replica and to nothing else."""
    asked = [answer for answer in answers if answer.kind == "service"]
    seen = {answer.text for answer in asked if answer.ok}
    for answer in asked:
        if not answer.ok:
            yield f"the Service at {answer.target} is not reached: {answer.text}"
        elif answer.text not in replicas.values():
            yield f"the Service at {answer.target} answers {answer.text!r}"
    if asked and all(answer.ok for answer in asked):
        for name in sorted(set(replicas.values()) - seen):
            yield f"the Service did not lead to {name} in {len(asked)} requests"
    if not asked:
        yield "the Service was not asked"


def dns_problems(answers: tuple[Answer, ...], replicas: Mapping[str, str]) -> Iterator[str]:
    """Why the Service is not reached by its name."""
    asked = [answer for answer in answers if answer.kind == "dns"]
    for answer in asked:
        if not answer.ok:
            yield f"{answer.target} is not reached: {answer.text}"
        elif answer.text not in replicas.values():
            yield f"{answer.target} answers {answer.text!r}"
    if not asked:
        yield "the Service was not asked by name"


def affinity_problems(answers: tuple[Answer, ...], replicas: Mapping[str, str]) -> Iterator[str]:
    """Why the Service with session affinity does not lead one client to one and the same pod."""
    asked = [answer for answer in answers if answer.kind == "affinity"]
    for answer in asked:
        if not answer.ok:
            yield f"the Service at {answer.target} is not reached: {answer.text}"
    seen = sorted({answer.text for answer in asked if answer.ok})
    if len(seen) > 1:
        yield f"one client was led to {' and '.join(seen)} in {len(asked)} requests"
    elif seen and seen[0] not in replicas.values():
        yield f"the Service answers {seen[0]!r}"
    if not asked:
        yield "the Service with session affinity was not asked"


def node_port_problems(answers: tuple[Answer, ...], replicas: Mapping[str, str], nodes: Sequence[str]) -> Iterator[str]:
    """Why not every node leads to the web pods; ``nodes`` are their addresses."""
    asked = {answer.target: answer for answer in answers if answer.kind == "node-port"}
    for address in dict.fromkeys(nodes):
        answer = asked.get(address)
        if answer is None:
            yield f"the node at {address} was not asked"
        elif not answer.ok:
            yield f"the node at {address} does not answer: {answer.text}"
        elif answer.text not in replicas.values():
            yield f"the node at {address} answers {answer.text!r}"


def headless_problems(answers: tuple[Answer, ...], replicas: Mapping[str, str]) -> Iterator[str]:
    """Why the headless Service's name does not give the addresses of exactly the web pods."""
    asked = [answer for answer in answers if answer.kind == "headless"]
    for answer in asked:
        if not answer.ok:
            yield f"{answer.target}: {answer.text}"
        elif set(answer.text.split()) != set(replicas):
            yield f"{answer.target} gives {answer.text or 'nothing'}, not {' '.join(sorted(replicas))}"
    if not asked:
        yield "the headless Service's name was not looked up"


def namespace_problems(answers: tuple[Answer, ...]) -> Iterator[str]:
    """Why the pod of the other namespace is not reached by its name."""
    asked = [answer for answer in answers if answer.kind == "namespace"]
    for answer in asked:
        if not answer.ok:
            yield f"{answer.target} is not reached: {answer.text}"
        elif answer.text != "other":
            yield f"{answer.target} answers {answer.text!r}"
    if not asked:
        yield "the other namespace was not asked"


@dataclass(frozen=True, slots=True)
class Window:
    """A few constant requests: how many, how many of them were lost and why, and how long the slowest took."""

    number: int
    requests: int
    lost: int
    worst_ms: int
    problem: str = ""


def windows(log: str) -> tuple[Window, ...]:
    """What a load container logged; lines of anybody else, and half lines, are left out."""
    found = []
    for line in log.splitlines(keepends=True):
        number, _, rest = line.partition(" ")
        words = rest.split(" ", 4)
        if line.endswith("\n") and words[0] == "load" and len(words) == 5 and number.isdigit():
            requests, lost, worst = words[1:4]
            if requests.isdigit() and lost.isdigit() and worst.isdigit():
                found.append(Window(int(number), int(requests), int(lost), int(worst), words[4].strip()))
    return tuple(found)
