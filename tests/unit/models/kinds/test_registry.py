"""The registry knows what trains, exports and decodes each kind of network, and imports no torch."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
from networks import exported, make_alignnet, make_gru

from rtdecode.decode.load import DECODERS
from rtdecode.errors import RtdecodeError
from rtdecode.models.export.export import fold
from rtdecode.models.kinds.registry import NETWORKS, network_kind

MODELS = {net.kind: exported(net) for net in (make_alignnet(), make_gru())}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_kind_has_all_its_parts(name: str) -> None:
    kind, model = NETWORKS[name], MODELS[name]
    assert network_kind(model) is kind
    assert name in DECODERS
    assert kind.network().kind == kind.decoder(model, "cpu").kind == name
    assert fold.dispatch(kind.network()) is not fold.dispatch(object)
    assert f"{kind.head}.weight" in model.train


def test_a_linear_filter_is_no_network() -> None:
    with pytest.raises(
        RtdecodeError, match=r"a wiener model is not a network\. Fix: use one of kind alignnet or gru"
    ):
        network_kind(replace(MODELS["gru"], kind="wiener"))


def test_the_registry_imports_no_torch() -> None:
    code = "import sys, rtdecode.models.kinds.registry; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
