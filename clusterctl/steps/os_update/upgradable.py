"""Which packages can be upgraded, as ``os-update/lists`` noted. Pure."""

from clusterctl.model.places import RESTART_REQUIRED, UPGRADABLE
from clusterctl.model.situation import Situation

NOT_READ = "the lists of packages have to be read first"


def up_to_date(situation: Situation) -> str:
    """What shows that neither packages nor a restart are left, or empty."""
    left = upgradable(situation)
    return "" if left is None or left or RESTART_REQUIRED in situation.facts.paths else "its packages are up to date"


def upgradable(situation: Situation) -> tuple[str, ...] | None:
    """The packages that can be upgraded; None when nobody looked yet."""
    noted = situation.facts.file(UPGRADABLE)
    return None if noted is None else tuple(noted.splitlines()[1:])
