"""How nodes are drained, as the inventory says."""

from typing import Annotated

from pydantic import Field

from clusterctl.model.inventory.strict import Strict


class DrainOptions(Strict):
    """How nodes are drained; the names and their meaning are those of ``kubectl drain``."""

    force: bool = False
    delete_emptydir_data: bool = False
    disable_eviction: bool = False
    grace_period: Annotated[int, Field(ge=-1)] = -1
    timeout: Annotated[int, Field(ge=0)] = 900
    skip_wait_for_delete_timeout: Annotated[int, Field(ge=0)] = 0
