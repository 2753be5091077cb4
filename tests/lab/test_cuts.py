"""Who is cut off from whom, and what nft is told."""

import pytest

from clusterctl.lab.cuts import EVERYTHING, Cuts, rules
from tests.lab.builders import NETWORK


@pytest.mark.parametrize(
    ("cuts", "of_w1"),
    [
        (Cuts(), ()),
        (Cuts().add("w1", []), (EVERYTHING,)),
        (Cuts().add("w1", ["w2", "cp1"]), ("cp1", "w2")),
        (Cuts().add("cp1", ["w1"]), ("cp1",)),
        (Cuts().add("w1", ["cp1"]).add("w1", []), (EVERYTHING,)),
        (Cuts().add("w1", ["cp1"]).heal(["cp1"]), ()),
        (Cuts().add("w1", []).heal(["cp1"]), (EVERYTHING,)),
        (Cuts().add("w1", []).add("w1", ["cp1"]).heal(["w1"]), ()),
    ],
)
def test_cuts_add_up_and_heal(cuts: Cuts, of_w1: tuple[str, ...]) -> None:
    """A cut has two ends, and healing either heals it; what is on record reads back the same."""
    assert cuts.of("w1") == of_w1
    assert Cuts.from_json(cuts.to_json()) == cuts


def test_nft_replaces_the_table_in_one_step() -> None:
    """Machines that are alone get no frame and send none; pairs are parted in both directions."""
    assert rules("lab", NETWORK, Cuts().add("w1", []).add("cp1", ["w2"])) == (
        """\
table bridge clusterctl-lab
delete table bridge clusterctl-lab
table bridge clusterctl-lab {
  chain from-machines {
    type filter hook prerouting priority -300; policy accept;
    iifname "cctl0-w1" drop
  }
  chain to-machines {
    type filter hook postrouting priority -300; policy accept;
    oifname "cctl0-w1" drop
  }
  chain between-machines {
    type filter hook forward priority -300; policy accept;
    iifname "cctl0-cp1" oifname "cctl0-w2" drop
    iifname "cctl0-w2" oifname "cctl0-cp1" drop
  }
}
"""
    )


def test_without_a_cut_there_is_no_table() -> None:
    """The last heal leaves nothing in the packet filter."""
    assert rules("lab", NETWORK, Cuts()) == "table bridge clusterctl-lab\ndelete table bridge clusterctl-lab\n"
