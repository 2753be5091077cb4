"""``upgrade --strategy surge``: which hosts join and leave, and the playbook that this makes of an upgrade."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from clusterctl.actions.playbooks import ignoring, playbook
from clusterctl.engine.playbook import Play, Playbook
from clusterctl.errors import InputError, KubernetesError
from clusterctl.model.inventory import Host, Role
from clusterctl.model.situation import Situation
from clusterctl.rules.membership import used
from clusterctl.rules.surge import Link, Member, chain
from clusterctl.rules.versions import at_least
from clusterctl.session.session import Session

# Asked when the place of a worker is taken: until then there is no room for its pods.
_LATER = ("drain/placement",)
# While workers are replaced, spares are nodes and workers are none.
_ALWAYS_SO = ("preflight/spares",)


@dataclass(frozen=True)
class Surge:
    """How the workers come to a version: ``through`` are there already, then ``links`` follow one after the other."""

    version: str
    through: frozenset[str]
    old: frozenset[str]
    links: tuple[Link, ...]

    def text(self) -> str:
        """For people."""
        if not self.links:
            return ""
        told = [f"  {number}. {_words(link)}" for number, link in enumerate(self.links, 1)]
        return "\n".join([f"Workers are replaced one after the other, by hosts at {self.version}:", *told, ""])

    def as_json(self) -> list[dict[str, object]]:
        """For programs."""
        return [{"host": link.host, "joins": link.joins} for link in self.links]

    def shape(self, book: Playbook, ignore: Sequence[str] = (), max_failures: int = 0) -> Playbook:
        """The playbook of an upgrade in which the workers are replaced, not upgraded where they are."""
        join, leave, clean = ignoring(playbook("surge"), ignore).plays
        plays: list[Play] = []
        members = self.through | self.old
        for play in book.plays:
            if play.on == "worker" and play.undivided:
                plays.append(replace(join, name="Finish the workers that joined", only=self.through))
                for link in self.links:
                    kind = join if link.joins else leave
                    name = f"{kind.name} {link.host}"
                    # Who cannot join leaves no room for what comes next.
                    failures = 0 if link.joins else max_failures
                    plays.append(replace(kind, name=name, only=frozenset({link.host}), max_failures=failures))
                plays.append(clean)
                members = self.through
            elif play.on == "worker":
                plays.append(replace(play, on="pool", only=self.old))
            elif play.on == "all":
                plays.append(_without(replace(play, on="control-plane"), *_ALWAYS_SO))
                workers = replace(play, name=f"{play.name} (workers)", on="pool", only=members)
                plays.append(_without(workers, *_ALWAYS_SO, *_LATER))
            else:
                plays.append(play)
        return replace(book, plays=tuple(play for play in plays if play.only is None or play.only))


def find_surge(session: Session, version: str) -> Surge:
    """What is left of replacing the workers, by a new look at all hosts. Raises Refused when no spare is at hand."""
    situation, problems = _look(session)
    return surge_to(version, situation, problems)


def surge_to(version: str, situation: Situation, problems: Mapping[str, str]) -> Surge:
    """What is left of replacing the workers; ``problems`` say why hosts were not reached."""
    pool = members(situation, problems)
    through = frozenset(member.host for member in pool if at_least(member.kubelet, version))
    old = frozenset(member.host for member in pool if member.kubelet) - through
    return Surge(version, through, old, chain(pool, len(situation.inventory.workers), version))


def rotated(session: Session) -> Mapping[str, Role]:
    """The roles of spares that are nodes and of as many workers that are none: they have changed places."""
    nodes = {member.host for member in members(*_look(session)) if member.kubelet}
    roles: dict[str, Role] = {}
    for host in session.inventory.pool:
        if (host.name in nodes) != (host.role == "worker"):
            roles[host.name] = "worker" if host.name in nodes else "spare"
    return roles if list(roles.values()).count("spare") * 2 == len(roles) else {}


def check_options(session: Session, limit: Sequence[str], **others: object) -> None:
    """Raise InputError for options that mean nothing where workers are replaced one after the other."""
    given = [f"--{name}" for name, value in others.items() if value]
    if given:
        raise InputError(
            f"{', '.join(given)}: with --strategy surge one worker goes after the other, the oldest first",
            resolution="leave it out, or take --strategy rolling",
        )
    named = {host.name for host in playbook("surge").limited(limit, session.inventory).hosts(session.inventory)}
    workers = sorted(named & {host.name for host in session.inventory.pool})
    if limit and workers:
        raise InputError(
            f"--limit {', '.join(workers)}: with --strategy surge workers take the places of each other",
            resolution="leave --limit out, or upgrade the control planes alone: --limit control-plane",
        )


def members(situation: Situation, problems: Mapping[str, str]) -> tuple[Member, ...]:
    """The workers and spares as they are."""

    def member(host: Host) -> Member:
        node, facts = situation.node_of(host), situation.all_facts.get(host.name)
        return Member(
            host.name,
            node.kubelet_version if node else "",
            leaving=node is not None and node.cordoned is not None,
            used=node is None and facts is not None and used(facts),
            problem=problems.get(host.name, ""),
        )

    return tuple(map(member, situation.inventory.pool))


def _look(session: Session) -> tuple[Situation, dict[str, str]]:
    """The cluster as it is now, and why hosts are not reached."""
    _, errors = session.look_where_possible()
    situation = session.view.situation(session.a_control_plane(), api=True, api_max_age=0)
    if situation.api is None:
        raise KubernetesError(
            f"the cluster cannot be asked which hosts are its nodes: {situation.api_problem}",
            resolution="look at the API server: clusterctl status; then run the same command again",
        )
    return situation, {name: error.what for name, error in errors.items()}


def _words(link: Link) -> str:
    if link.joins:
        return f"{link.host} joins"
    return f"{link.host} is drained, its node removed, the host reset; it stands by from then on"


def _without(play: Play, *names: str) -> Play:
    return replace(play, run=tuple(step for step in play.run if step.name not in names))
