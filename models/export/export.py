"""Export a trained network to the tensors that the runtime steps: folded, and exact before thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch

import numpy as np
from torch import Tensor, nn

from rtdecode.artifact import LARGEST_CODE, Arrays, Feature, ModelArtifact, Output
from rtdecode.decode.halfwords import rounded_to_halfwords
from rtdecode.errors import RtdecodeError, located
from rtdecode.kernels.arrays import F8, I4
from rtdecode.models.export.fixed_point import FRACTIONAL_BITS, fixed_point
from rtdecode.models.networks.alignnet import AlignNet
from rtdecode.models.networks.gru import GRUNet
from rtdecode.models.nn.layers import ConvUnit, Pointwise
from rtdecode.models.nn.network import Network


def export(
    net: Network,
    *,
    session: str,
    bin_width_s: float,
    outputs: Sequence[Output],
    features: Sequence[Feature] = (),
) -> ModelArtifact:
    """The artifact of a network for one of its sessions.

    `run.*` holds the path from spikes to behaviour, with batch normalisation, read-in, channel mask and
    output scale folded in; `train.*` the complete network, for `from_artifact`. Weights and biases before a
    threshold are rounded to 12 fractional bits, or to fewer where a layer needs that (`fixed_point`), as
    noted in `provenance["export"]["notes"]`. The other weights of an AlignNet, except the head's, are rounded
    to 16 bits (`halfwords`).

    Args:
        net: an `AlignNet` or a `GRUNet`; read as in evaluation mode, and not changed.
        session: the read-in to fold; its living channels are the mask.
        bin_width_s: that the network was trained at.
        outputs: decoded outputs, with the mean and SD of `set_output_scale`.
        features: that the network reads behind the counts, with the statistics of their codes.

    Raises:
        RtdecodeError: the network is non-causal, is of an unknown kind, has diverged, or does not fit the
            outputs or features; or the session is unknown.
    """
    _check_outputs(net, outputs)
    n_features = net.config.n_features
    if len(features) != n_features:
        fix = "describe each feature once"
        raise RtdecodeError(f"{len(features)} features do not fit a network of {n_features}", fix=fix)
    folded = fold(net, session)
    notes: list[str] = []
    widths: tuple[int, ...] = ()
    fractional_bits = None
    if isinstance(net, AlignNet):
        widths = net.widths
        largest = np.full((net.n_channels, 1, 1), float(net.read_in.count_max))
        largest[net.n_channels - n_features :] = LARGEST_CODE
        folded, layer_bits, notes = _all_fixed_point(folded, len(widths), largest)
        fractional_bits = int(layer_bits.min())
        folded["grid"] = layer_bits
    good = net.read_in.of(session).good.tolist()
    return ModelArtifact(
        kind=net.kind,
        causal=True,
        bin_width_s=bin_width_s,
        n_channels=net.n_channels - n_features,
        channel_mask=tuple(good[: net.n_channels - n_features]),
        outputs=tuple(outputs),
        count_max=net.read_in.count_max,
        run={
            name: array if array.dtype == np.int32 else array.astype("f4") for name, array in folded.items()
        },
        train=net.train_tensors(session),
        provenance={"export": {"session": session, "notes": notes}},
        widths=widths,
        fractional_bits=fractional_bits,
        features=tuple(features),
    )


@singledispatch
def fold(net: Network, session: str) -> Arrays:
    """The tensors of run.*, f8 and not rounded, without `grid` (the fractional bits of each layer).

    Raises:
        RtdecodeError: the network is non-causal, or is of an unknown kind; or the session is unknown.
    """
    raise RtdecodeError(
        f"a {type(net).__name__} cannot be exported", fix="train a network of kind alignnet or gru"
    )


def _all_fixed_point(folded: Arrays, n_levels: int, largest_inputs: F8) -> tuple[Arrays, I4, list[str]]:
    """The tensors with those before a threshold rounded, fractional bits of each such layer, and notes."""
    rounded, layer_bits, notes = dict(folded), [], []
    for name in (f"enc{level}.{i}" for level in range(n_levels) for i in range(2)):
        weight, bias = f"{name}.weight", f"{name}.bias"
        with located(name):
            rounded[weight], rounded[bias], bits = fixed_point(
                folded[weight], folded[bias], largest_inputs if name == "enc0.0" else 1.0
            )
        layer_bits.append(bits)
        if bits < FRACTIONAL_BITS:
            notes.append(
                f"{name} has {bits} fractional bits instead of {FRACTIONAL_BITS}: its weights are large"
            )
    for name, tensor in rounded.items():
        if name.endswith(".weight") and not name.startswith(("enc", "head")):
            rounded[name] = rounded_to_halfwords(tensor)
    return rounded, np.array(layer_bits, dtype=np.int32), notes


@fold.register
def _fold_alignnet(net: AlignNet, session: str) -> Arrays:
    if not net.causal:
        raise RtdecodeError("the network is non-causal and cannot be stepped", fix="train a causal one")
    run: Arrays = {}
    for stem, stages in (("enc", net.spike_encoder.stages), ("dec", net.behavior_decoder.stages)):
        for level, units in enumerate(stages):
            assert isinstance(units, nn.Sequential)
            for i, unit in enumerate(units):
                assert isinstance(unit, ConvUnit)
                gain, run[f"{stem}{level}.{i}.bias"] = unit.affine()
                # Lag 0 first: [in, lags, out].
                weight = _f8(unit.conv.weight).transpose(1, 2, 0)[:, ::-1]
                run[f"{stem}{level}.{i}.weight"] = weight * gain
                if unit.beside is not None:
                    run[f"skip{level}.weight"] = _f8(unit.beside.weight).T * gain
    scale, offset = _read_in(net, session)
    weight = run["enc0.0.weight"]
    run["enc0.0.bias"] = run["enc0.0.bias"] + np.einsum("ilo,i->o", weight, offset)
    run["enc0.0.weight"] = weight * scale[:, np.newaxis, np.newaxis]
    run["latent.weight"], run["latent.bias"] = _linear(net.spike_encoder.latent)
    run |= _fold_read_out(net)
    return run


def _fold_read_out(net: AlignNet) -> Arrays:
    """The head, and the leaky neurons and hidden units in front of it."""
    read_out = net.behavior_head
    run: Arrays = {}
    if read_out.drive is not None:
        decay = _f8(read_out.decay())
        weight, bias = _linear(read_out.drive)
        scale = np.sqrt(1.0 - decay**2)
        run |= {"leaky.weight": weight * scale, "leaky.bias": bias * scale, "leaky.decay": decay}
    if read_out.mix is not None:
        run["hidden.weight"], run["hidden.bias"] = _linear(read_out.mix)
    run["head.weight"], run["head.bias"] = _in_units(net, read_out.head)
    return run


@fold.register
def _fold_gru(net: GRUNet, session: str) -> Arrays:
    gates = {name.removesuffix("_l0"): _f8(tensor) for name, tensor in net.gru.named_parameters()}
    scale, offset = _read_in(net, session)
    head_weight, head_bias = _in_units(net, net.head)
    return {
        "gru.weight_ih": gates["weight_ih"].T * scale[:, np.newaxis],
        "gru.weight_hh": gates["weight_hh"].T,
        "gru.bias_ih": gates["bias_ih"] + gates["weight_ih"] @ offset,
        "gru.bias_hh": gates["bias_hh"],
        "head.weight": head_weight,
        "head.bias": head_bias,
    }


def _read_in(net: Network, session: str) -> tuple[F8, F8]:
    """Scale and offset f8[C], 0 for ignored channels."""
    read_in = net.read_in.of(session)
    good = _f8(read_in.good)
    return _f8(read_in.gain()) * good, _f8(read_in.offset) * good


def _linear(layer: Pointwise | nn.Linear) -> tuple[F8, F8]:
    return _f8(layer.weight).T, _f8(layer.bias)


def _in_units(net: Network, head: Pointwise | nn.Linear) -> tuple[F8, F8]:
    weight, bias = _linear(head)
    sd = _f8(net.output_sd)
    return weight * sd, bias * sd + _f8(net.output_mean)


def _f8(tensor: Tensor) -> F8:
    return tensor.detach().cpu().double().numpy()


def _check_outputs(net: Network, outputs: Sequence[Output]) -> None:
    if len(outputs) != net.n_outputs:
        raise RtdecodeError(
            f"{len(outputs)} outputs do not fit a network of {net.n_outputs}", fix="describe each output once"
        )
    for output, mean, sd in zip(outputs, net.output_mean.tolist(), net.output_sd.tolist(), strict=True):
        if output.mean != mean or output.sd != sd:
            raise RtdecodeError(
                f"the network was trained on {output.name!r} with mean {mean:g} and SD {sd:g}, not "
                f"{output.mean:g} and {output.sd:g}",
                fix="call set_output_scale before training",
            )
