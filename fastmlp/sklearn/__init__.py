"""`MLPClassifier` and `MLPRegressor`: drop-in replacements of scikit-learn's classes, computed by fastmlp's kernels.

    from fastmlp.sklearn import MLPClassifier

The classes derive from those of scikit-learn and have their parameters, methods, fitted attributes, random draws,
warnings and errors. A `fastmlp.Network` computes the loops over rows and epochs. Additional keyword-only parameters
give access to what only that network can do, such as dropout and other optimizers. The classes need scikit-learn 1.7 or
later: `pip install "fastmlp[sklearn]"`.
"""

try:
    from fastmlp.sklearn.ensembles import MLPEnsembleClassifier, MLPEnsembleRegressor
    from fastmlp.sklearn.estimators import MLPClassifier, MLPRegressor
    from fastmlp.sklearn.search import MLPSearchCV
except ImportError as error:
    if (error.name or "").split(".")[0] not in ("sklearn", "scipy", "joblib"):
        raise
    raise ImportError(
        f'fastmlp.sklearn needs scikit-learn 1.7 or later: pip install "fastmlp[sklearn]" ({error})', name=error.name
    ) from error

__all__ = ["MLPClassifier", "MLPEnsembleClassifier", "MLPEnsembleRegressor", "MLPRegressor", "MLPSearchCV"]
