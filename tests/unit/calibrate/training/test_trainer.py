"""Training learns, stops, keeps the best weights, and repeats under the same seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from rtdecode.calibrate.run import Run
from rtdecode.calibrate.training.settings import Augmentation, TrainingSettings
from rtdecode.calibrate.training.trainer import Training, train, validation_r2
from rtdecode.calibrate.training.windows import Batch, Recording, validation_blocks
from rtdecode.errors import RtdecodeError
from rtdecode.models.networks.alignnet import AlignNet, AlignNetSettings
from rtdecode.models.networks.gru import GRUNet, GRUNetSettings
from rtdecode.models.nn.network import Network

N_CHANNELS, N_BINS = 12, 1500
SHORT = TrainingSettings(steps=60, batch=8, window_bins=50, validate_every=20, learning_rate=5e-3)


@pytest.fixture(scope="module")
def recording() -> Recording:
    """Rates follow a slow signal and its derivative."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    t = np.arange(N_BINS) * 0.02
    signal = np.stack([np.sin(2 * np.pi * 0.7 * t), np.cos(2 * np.pi * 0.45 * t)])
    tuning = rng.normal(size=(N_CHANNELS, 2))
    counts = rng.poisson(np.exp(0.4 + tuning @ signal)).clip(0, 20).astype(np.float32)
    targets = (signal - signal.mean(1, keepdims=True)) / signal.std(1, keepdims=True)
    return Recording.of("s", counts.T, targets.T, *validation_blocks(np.ones(N_BINS, bool), 0.15, 0.02))


def new_net(kind: str, recording: Recording) -> Network:
    torch.manual_seed(0)
    net: Network = (
        GRUNet(GRUNetSettings(N_CHANNELS, 2, 20, hidden=16))
        if kind == "gru"
        else AlignNet(
            AlignNetSettings(
                N_CHANNELS, 2, 20, widths=(16, 16), dec_widths=(16,), latent=8, lift=8, leaky=4, hidden=4
            )
        )
    )
    net.read_in.add("s", recording.counts.mean(1).numpy(), recording.counts.std(1).numpy())
    return net


def with_noise(recording: Recording) -> Recording:
    """Labels of noise, on which validation is best by chance."""
    noise = torch.randn(recording.targets.shape, generator=torch.Generator().manual_seed(1))
    return replace(recording, targets=noise)


def blind(recording: Recording) -> Recording:
    """Without validation bins."""
    return replace(recording, validation=np.zeros_like(recording.validation))


def weights_of(net: Network) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in net.state_dict().items()}


def assert_same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    for name, tensor in found.items():
        assert torch.equal(tensor, expected[name]), name


def fraction(done: float) -> None:
    assert 0.0 <= done <= 1.0


RUN = Run(device="cpu", progress=fraction)


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize(("kind", "auxiliary"), [("gru", 0.0), ("alignnet", 0.0), ("alignnet", 0.3)])
def test_it_learns(recording: Recording, kind: str, auxiliary: float, mixed: bool) -> None:
    net = new_net(kind, recording)
    log = train(net, [recording], replace(SHORT, auxiliary=auxiliary, mixed=mixed), RUN)
    assert min(log.validation_r2) > 0.4
    assert log.steps == 60
    assert not net.training
    assert all(parameter.dtype == torch.float32 for parameter in net.parameters())


def test_auxiliary_losses_are_computed_in_every_nth_batch(recording: Recording) -> None:
    settings = replace(SHORT, auxiliary=0.3, auxiliary_every=3, learning_rate=1e-2)
    for steps, taken in ((2, False), (3, True)):
        net, fresh = new_net("alignnet", recording), new_net("alignnet", recording)
        train(net, [recording], replace(settings, steps=steps), RUN)
        for part, changes in (("rate_head", taken), ("behavior_encoder", taken), ("behavior_head", True)):
            before, after = (dict(getattr(each, part).named_parameters()) for each in (fresh, net))
            moved = any(not torch.equal(before[name], after[name]) for name in before)
            assert moved == changes, (part, steps)


def test_the_same_seed_gives_the_same_weights_and_leaves_the_global_draws_alone(recording: Recording) -> None:
    settings = replace(SHORT, steps=20)
    nets = [new_net("alignnet", recording) for _ in range(3)]
    torch.manual_seed(5)
    before = torch.get_rng_state()
    for net, seed in zip(nets, (1, 1, 2), strict=True):
        train(net, [recording], settings, replace(RUN, seed=seed))
        assert torch.equal(torch.get_rng_state(), before)
    weights = [torch.cat([p.detach().reshape(-1) for p in net.parameters()]) for net in nets]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_it_stops_without_improvement_and_keeps_the_best(recording: Recording) -> None:
    # Validation is best at once, by chance, and never again by much.
    hopeless = with_noise(recording)
    settings = replace(SHORT, steps=400, validate_every=5, patience=3, learning_rate=3e-2)
    log = train(new_net("gru", hopeless), [hopeless], settings, RUN)
    assert log.steps < 400
    assert log.steps - log.best_step == 15


@pytest.mark.parametrize("steps", [1, 2, 5, 7])
def test_any_number_of_steps_can_be_made(recording: Recording, steps: int) -> None:
    log = train(new_net("gru", recording), [recording], replace(SHORT, steps=steps), RUN)
    assert log.steps == log.best_step == steps


def test_earlier_weights_are_kept_only_if_better_by_the_tolerance(recording: Recording) -> None:
    hopeless = with_noise(recording)
    settings = replace(SHORT, validate_every=5, learning_rate=3e-2, patience=100)
    kept = [
        train(new_net("gru", hopeless), [hopeless], replace(settings, tolerance=tolerance), RUN)
        for tolerance in (0.0, 1e9)
    ]
    assert kept[0].best_step < kept[1].best_step == 60
    assert kept[0].validation_r2 != kept[1].validation_r2


def test_without_validation_bins_the_last_weights_are_kept(recording: Recording) -> None:
    log = train(new_net("gru", recording), [blind(recording)], replace(SHORT, steps=8), RUN)
    assert log.best_step == 8
    assert np.isnan(log.validation_r2).all()


@pytest.mark.parametrize("kind", ["gru", "alignnet"])
def test_an_output_that_is_unknown_takes_no_bin_from_the_others(recording: Recording, kind: str) -> None:
    """Output 1 is unknown in the second half, output 0 is trained on and scored on all bins as before."""
    partly = replace(recording, targets=recording.targets.clone())
    partly.targets[1, N_BINS // 2 :] = torch.nan
    before, now = (Training(new_net(kind, recording), [each], SHORT, RUN) for each in (recording, partly))
    (one, _), (other, _) = before._drawn(1), now._drawn(1)
    assert torch.equal(other.weight[:, :1], one.weight)
    assert other.weight[:, 1].sum() < 0.7 * other.weight[:, 0].sum()
    net = new_net(kind, recording)
    scores = [validation_r2(net, [each], torch.device("cpu")) for each in (recording, partly)]
    assert scores[0][0] == scores[1][0]
    assert scores[0][1] != scores[1][1]
    now.advance()
    assert all(bool(p.isfinite().all()) for p in now._net.parameters())


def test_a_training_without_improvement_ends_with_the_initial_weights(recording: Recording) -> None:
    net, validations = new_net("gru", recording), []
    train(net, [recording], SHORT, RUN)
    true, noise = torch.from_numpy(recording.validation), with_noise(recording).targets
    misleading = replace(recording, targets=torch.where(true, recording.targets, noise))
    before = weights_of(net)
    settings = replace(SHORT, validate_first=True, validate_until=0.5, tolerance=0.01)
    log = train(net, [misleading], settings, replace(RUN, on_validation=validations.append))
    assert (log.steps, log.best_step) == (30, 0), "it stops where it would have trained on all bins"
    assert len(validations) == 1
    assert_same(weights_of(net), before)


def test_validation_bins_are_trained_on_after_validation_ends(recording: Recording) -> None:
    validations: list[float] = []
    whole, part = new_net("gru", recording), new_net("gru", recording)
    settings = replace(SHORT, tolerance=1e9)
    train(whole, [recording], settings, RUN)
    half = replace(settings, validate_until=0.5)
    log = train(part, [recording], half, replace(RUN, on_validation=validations.append))
    assert log.steps == log.best_step == 60
    assert validations == sorted(validations)
    assert len(validations) == 2, "after 20 and 30 batches"
    names = [name for name, _ in whole.named_parameters()]
    assert any(not torch.equal(whole.state_dict()[name], part.state_dict()[name]) for name in names)


def test_a_training_resumes_from_a_state_in_which_all_bins_are_trained_on(recording: Recording) -> None:
    settings = replace(SHORT, validate_until=0.5, tolerance=1e9)
    ends = []
    for stop in (60, 40):
        torch.manual_seed(RUN.seed)
        net = new_net("gru", recording)
        torch.manual_seed(RUN.seed)
        training = Training(net, [recording], settings, RUN)
        while training.step < stop:
            training.advance()
        if stop < 60:
            tensors, numbers = training.state()
            net = new_net("gru", recording)
            training = Training(net, [recording], settings, RUN)
            training.load_state(tensors, numbers)
            while not training.done:
                training.advance()
        training.finish()
        ends.append(weights_of(net))
    assert_same(*ends)


def test_at_the_deadline_the_best_weights_so_far_are_kept(recording: Recording) -> None:
    net = new_net("gru", recording)
    before = weights_of(net)
    settings, late = replace(SHORT, validate_first=True), replace(RUN, deadline_s=0.0)
    log = train(net, [recording], settings, late)
    assert (log.steps, log.best_step) == (1, 0)
    assert_same(weights_of(net), before)
    log = train(new_net("gru", recording), [blind(recording)], settings, late)
    assert log.steps == 1
    assert np.isnan(log.validation_r2).all()


def test_validation_is_of_the_interpolated_weights(recording: Recording) -> None:
    net, validations = new_net("gru", recording), []
    before = weights_of(net)
    settings = replace(SHORT, validate_first=True, interpolation=0.0)
    log = train(net, [recording], settings, replace(RUN, on_validation=validations.append))
    assert len(validations) == 1, "with α = 0 no validation is better than the first"
    assert log.validation_r2 == tuple(validation_r2(net, [recording], torch.device("cpu")))
    assert_same(weights_of(net), before)


def test_augmented_windows_are_trained_on_and_repeat(recording: Recording) -> None:
    settings = replace(SHORT, steps=12, auxiliary=0.3, augmentation=Augmentation(bin_width_s=0.02))
    first, again, plain = (new_net("alignnet", recording) for _ in range(3))
    for net in (first, again):
        train(net, [recording], settings, RUN)
    train(plain, [recording], replace(settings, augmentation=None), RUN)
    weights = [net.state_dict()["spike_encoder.latent.weight"] for net in (first, again, plain)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_simulated_and_reconstructed_counts_are_compared_with_the_clean_ones(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[torch.Tensor] = []

    def silenced(batch: Batch, *_: object) -> Batch:
        return replace(batch, counts=torch.zeros_like(batch.counts))

    def compared(value: torch.Tensor, target: torch.Tensor, weight: object = None) -> torch.Tensor:
        seen.append(target)
        return value.square().mean()

    monkeypatch.setattr("rtdecode.calibrate.training.trainer.augmented", silenced)
    monkeypatch.setattr("rtdecode.calibrate.training.losses.mse", compared)
    settings = replace(SHORT, steps=1, auxiliary=0.3, augmentation=Augmentation(bin_width_s=0.02))
    train(new_net("alignnet", recording), [recording], settings, RUN)
    spikes = [target for target in seen if target.shape[1] == N_CHANNELS]
    assert len(spikes) == 2
    assert all(target.max() > 0 for target in spikes)


def test_a_session_shorter_than_a_window_is_refused(recording: Recording) -> None:
    with pytest.raises(RtdecodeError, match="longer than a window of 1500 bins"):
        train(new_net("gru", recording), [recording], replace(SHORT, window_bins=1500), RUN)


def test_a_loss_of_nan_is_an_error(recording: Recording) -> None:
    broken = replace(recording, targets=torch.full_like(recording.targets, float("inf")))
    with pytest.raises(RtdecodeError, match="training diverged at step 1"):
        train(new_net("gru", broken), [broken], SHORT, RUN)


def test_batchnorm_statistics_are_re_estimated_without_augmentation(recording: Recording) -> None:
    """As one would compute them by hand from what enters the first normalisation."""
    settings = replace(SHORT, steps=6, augmentation=Augmentation(bin_width_s=0.02, windows=1.0))
    nets = [new_net("alignnet", recording) for _ in range(2)]
    for net, n_batches in zip(nets, (0, 200), strict=True):
        train(net, [blind(recording)], replace(settings, norm_batches=n_batches), RUN)
    assert_same(*(dict(net.named_parameters()) for net in nets))
    plain, estimated = nets
    assert isinstance(estimated, AlignNet)
    first = estimated.spike_encoder.stages[0][0]
    seen: list[torch.Tensor] = []
    first.norm.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    with torch.no_grad():
        estimated.decode(recording.counts[None], "s")
    mean, variance = seen[0].mean(dim=(0, 2)), seen[0].var(dim=(0, 2))
    torch.testing.assert_close(first.norm.running_mean, mean, rtol=0.1, atol=0.05)
    torch.testing.assert_close(first.norm.running_var, variance, rtol=0.15, atol=0.0)
    assert isinstance(plain, AlignNet)
    running = plain.spike_encoder.stages[0][0].norm.running_var
    assert (running / variance - 1.0).abs().mean() > 0.2
    norms = [m for m in estimated.modules() if isinstance(m, torch.nn.BatchNorm1d)]
    assert all(norm.momentum == 0.1 and not norm.training for norm in norms)
