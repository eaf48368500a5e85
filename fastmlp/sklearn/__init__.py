"""`MLPClassifier` and `MLPRegressor` of scikit-learn, trained by fastmlp's kernels.

    from fastmlp.sklearn import MLPClassifier

They are scikit-learn's own classes, with its parameters, methods, fitted attributes, random draws, warnings and errors;
what they compute in loops over rows and epochs is done by a `fastmlp.Network`. What that network can and scikit-learn's
cannot is asked for by further keyword-only parameters. They need scikit-learn 1.7 or later,
`pip install "fastmlp[sklearn]"`.
"""

try:
    from fastmlp.sklearn.estimators import MLPClassifier, MLPRegressor
except ImportError as error:
    if (error.name or "").split(".")[0] not in ("sklearn", "scipy", "joblib"):
        raise
    raise ImportError(
        f'fastmlp.sklearn needs scikit-learn 1.7 or later: pip install "fastmlp[sklearn]" ({error})', name=error.name
    ) from error

__all__ = ["MLPClassifier", "MLPRegressor"]
