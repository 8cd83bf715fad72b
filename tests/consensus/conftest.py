"""The cluster that most scenarios begin with."""

import pytest

from tests.consensus.harness import Network


@pytest.fixture
def three() -> Network:
    """Three replicas, all named, led by 1 in term 1, with entries 1 to 3."""
    network = Network.of(3)
    network.elect("1")
    return network
