"""What holds for all tests."""

from collections.abc import Iterator

import pytest

from clusterctl.model import secret


@pytest.fixture(autouse=True)
def _secrets_of_this_test_alone() -> Iterator[None]:
    """What one test reveals is not hidden in the texts of the next."""
    yield
    secret._revealed.clear()
