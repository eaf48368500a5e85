"""RayReport: what it reports to Ray Tune, checkpoints that continue to the same bits, and the mistakes of a search.

Most tests have the fixture `tune` in place of `ray.tune`, and need no Ray. The heavy one starts Ray.
"""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from behaviour import bits, run_python, small_data, small_network
from ray_processes import require_ray, run_ray
from recording import fitted

from fastmlp import RayReport

VALIDATION = small_data(60)
ENTRIES = ("loss", "val_loss", "val_accuracy")


@pytest.mark.parametrize(
    ("metrics", "names"),
    [
        (None, {name: name for name in ENTRIES}),
        ("loss", {"loss": "loss"}),
        (["val_loss", "val_accuracy"], {"val_loss": "val_loss", "val_accuracy": "val_accuracy"}),
        ({"score": "val_accuracy", "loss": "val_loss"}, {"score": "val_accuracy", "loss": "val_loss"}),
    ],
)
def test_each_epoch_is_reported_and_the_training_has_the_same_bits(
    metrics: Any, names: dict[str, str], tune: Any
) -> None:
    network = fitted(RayReport(metrics), validation_data=VALIDATION)
    assert network.history is not None
    values = {name: network.history.history[entry] for name, entry in names.items()}
    assert tune.reports == [{"epoch": i, **{name: values[name][i] for name in names}} for i in range(3)]
    assert not tune.networks
    assert bits(network) == bits(fitted(validation_data=VALIDATION))


def test_a_checkpoint_continues_to_the_same_bits(tune: Any) -> None:
    fitted(RayReport(checkpoint_every=2), epochs=5)
    assert [*tune.networks] == [1, 3]
    for epoch, network in tune.networks.items():
        assert network.epoch == epoch + 1
        fitted(network=network, epochs=4 - epoch)
        assert bits(network) == bits(fitted(epochs=5))


def test_epochs_are_counted_over_all_fits(tune: Any) -> None:
    network = fitted(RayReport(checkpoint_every=3), epochs=2)
    fitted(RayReport(checkpoint_every=3), epochs=2, network=network)
    assert [report["epoch"] for report in tune.reports] == [0, 1, 2, 3]
    assert [*tune.networks] == [2]


def test_a_trial_that_ends_while_it_reports_leaves_a_network_after_a_whole_epoch(
    tune: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def report(*_: Any, **__: Any) -> None:
        sys.exit(0)

    monkeypatch.setattr(tune, "report", report)
    network = small_network()
    with pytest.raises(SystemExit):
        fitted(RayReport(checkpoint_every=1), network=network)
    assert bits(network) == bits(fitted(epochs=1))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: RayReport(3), TypeError, r"metrics must be names of the history such as \['val_loss', .*got 3"),
        (lambda: RayReport([["loss"]]), TypeError, "or a mapping from other names to these"),
        (lambda: RayReport({"loss": 1}), TypeError, "or a mapping from other names to these, got {'loss': 1}"),
        (lambda: RayReport({"epoch": "loss"}), ValueError, "must not contain the name 'epoch', which is the number of"),
        (lambda: RayReport(checkpoint_every=-1), ValueError, "checkpoint_every must be at least 0, got -1"),
        (lambda: RayReport(checkpoint_every=True), TypeError, "checkpoint_every must be a whole number, got True"),
        (lambda: RayReport("loss", 5), TypeError, "write the others by name, such as checkpoint_every=..."),
    ],
)
@pytest.mark.usefixtures("tune")
def test_wrong_arguments_are_refused(make: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        (["loss", "val_loss"], "RayReport reports 'val_loss', but this fit has only loss; give fit validation_data or"),
        ({"val_loss": "los"}, "RayReport reports 'los', but this fit has only loss; did you mean 'loss'?"),
    ],
)
def test_a_missing_entry_is_refused_before_the_first_step(metrics: Any, message: str, tune: Any) -> None:
    network = small_network()
    with pytest.raises(ValueError, match=message):
        fitted(RayReport(metrics), network=network)
    assert (network.step, tune.reports) == (0, [])


def test_a_callback_made_outside_of_the_trial_is_pickled_to_it(tune: Any) -> None:
    fitted(pickle.loads(pickle.dumps(RayReport({"score": "loss"}, checkpoint_every=2))))
    assert [*tune.reports[0]] == ["epoch", "score"]
    assert [*tune.networks] == [1]


def test_without_ray_the_error_names_the_extra() -> None:
    code = (
        "import sys\n"
        "sys.modules['ray'] = None\n"
        "from fastmlp import RayReport\n"
        "try:\n    RayReport()\nexcept ImportError as error:\n    print(error)"
    )
    assert run_python(code)[0] == 'RayReport needs ray: pip install "fastmlp[ray]"\n'


def test_outside_of_a_trial_it_is_refused_before_the_first_step(tune: Any) -> None:
    network, tune.trial = small_network(), None
    with pytest.raises(RuntimeError, match="this fit does not run within a trial; call it in the function that tune"):
        fitted(RayReport(), network=network)
    assert network.step == 0


# With Ray -------------------------------------------------------------------------------------------------------------


def test_ray_says_that_a_fit_is_outside_of_a_trial() -> None:
    """Each time, although Ray itself warns once only."""
    require_ray()
    code = (
        "from fastmlp import Network, RayReport\n"
        "net, report = Network([2, 1], seed=0), RayReport()\n"
        "for _ in range(2):\n"
        "    try:\n        net.fit([[0, 1]], [1], callbacks=[report])\n"
        "    except RuntimeError as error:\n        print(net.step, error)"
    )
    out, err = run_python(code)
    assert [line.partition(" Ray Tune")[0] for line in out.splitlines()] == ["0 RayReport reports to"] * 2
    assert "Warning" not in err


@pytest.mark.heavy
def test_trials_of_ray_report_and_continue_to_the_same_bits(tmp_path: Path) -> None:
    """The second trial fails after its epoch 4, and continues from the checkpoint after epoch 3."""
    require_ray()
    out = run_ray(Path(__file__).with_name("ray_trials.py"), tmp_path)
    first, second = (json.loads(line) for line in out.splitlines() if line.startswith("{"))
    assert first == {"epochs": [0, 1, 2, 3, 4, 5], "scores": True, "bits": True}
    assert second == {"epochs": [0, 1, 2, 3, 4, 4, 5], "scores": True, "bits": True}
