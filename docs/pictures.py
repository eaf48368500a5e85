"""Draw the pictures of the README and of docs/pictures.md, from the data in fastmlp: `python docs/pictures.py`."""

from __future__ import annotations

from pathlib import Path

from fastmlp import Dense, EarlyStopping, Ensemble, GaussianNLL, GradientMonitor, Network, plot
from fastmlp.datasets import load_breast_cancer

FOLDER = Path(__file__).with_name("pictures")
SIZES = ("worst area", "mean area")  # one is predicted from everything but both


def main() -> None:
    """Write one SVG for each kind of picture."""
    FOLDER.mkdir(exist_ok=True)
    data = load_breast_cancer()
    X = (data.X - data.X.mean(axis=0)) / data.X.std(axis=0)
    train, test = slice(0, 400), slice(400, None)

    nets = {name: Network([30, Dense(8, name), Dense(2, "softmax")], seed=0) for name in ("relu", "tanh", "sigmoid")}
    runs = {name: net.fit(X[train], data.y[train], epochs=40, validation_split=0.2) for name, net in nets.items()}
    plot.learning_curves(runs, FOLDER / "learning_curves.svg", theme="auto", title="Hidden activations")
    probabilities = nets["relu"].predict(X[test])
    names = data.target_names
    called = probabilities.argmax(axis=1)
    plot.confusion_matrix(data.y[test], called, FOLDER / "confusion_matrix.svg", display_labels=names, theme="auto")
    plot.roc_curves(data.y[test], probabilities, FOLDER / "roc_curves.svg", display_labels=names, theme="auto")
    plot.network(
        Network([4, Dense(6, "relu", dropout=0.1), 3], output="softmax", seed=0), FOLDER / "network.svg", theme="auto"
    )

    kept = [place for place, name in enumerate(data.feature_names) if name not in SIZES]
    area = X[:, list(data.feature_names).index(SIZES[0])]
    regression = Network([len(kept), 32, 1], seed=0)
    regression.fit(X[train][:, kept], area[train], epochs=60)
    predicted = regression.predict(X[test][:, kept])
    plot.predicted_versus_true(area[test], predicted, FOLDER / "predicted_versus_true.svg", theme="auto")

    shape = X[:, [list(data.feature_names).index("mean concave points")]]
    ensemble = Ensemble([1, 32, 32, 2], activation="tanh", loss=GaussianNLL(), members=10, seed=0)
    ensemble.fit(shape[train], area[train], epochs=300, validation_split=0.2, early_stopping=EarlyStopping(patience=20))
    mean, std = ensemble.predict(shape[test], return_std=True)
    given = {"x": shape[test], "title": "Area by concave points"}
    plot.prediction_spread(mean, std, area[test], FOLDER / "prediction_spread.svg", theme="auto", **given)
    plot.calibration(area[test], mean, std, FOLDER / "calibration.svg", theme="auto")

    monitor = GradientMonitor(X[train], data.y[train])
    deep = Network([30, *(Dense(16, "sigmoid") for _ in range(5)), Dense(2, "softmax")], seed=0)
    deep.fit(X[train], data.y[train], epochs=40, callbacks=[monitor])
    plot.gradient_norms(monitor, FOLDER / "gradient_norms.svg", what="gradient_norm", theme="auto")


if __name__ == "__main__":
    main()
