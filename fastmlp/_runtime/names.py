"""Wrong names, and what messages say about them: unknown names, keyword arguments and attributes.

`nearest` finds the right name, by the names that other libraries use and then by spelling. Where no name has the same
meaning, `ADVICE` says what to do instead. `lookup` (in `checks`), `check_keywords` and `AttributeHints` use both.
"""

from __future__ import annotations

import difflib
import functools
import sys
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

_FIT_ARGUMENTS = (
    *(
        "epochs",
        "batch_size",
        "validation_data",
        "validation_split",
        "sample_weight",
        "class_weight",
        "classes",
        "shuffle",
    ),
    *("metrics", "callbacks", "verbose"),
)

_DATA_SETS_ELSEWHERE = ("load_iris", "load_digits", "load_wine", "load_diabetes", "fetch_openml")

# From names here to names that Keras, PyTorch, scikit-learn and others use for the same thing. The names of others are
# written in lower case and without underscores, as `_key` returns them.
_OTHERS = {
    # activations
    "linear": "identity none",
    "sigmoid": "logistic",
    "silu": "swish",
    "leaky_relu": "prelu rrelu",
    "softplus": "smoothrelu",
    "hard_sigmoid": "hardsigm",
    # losses, and metrics of the same formula
    "mean_squared_error": "mse mseloss l2loss squarederror negmeansquarederror",
    "root_mean_squared_error": "rmse rootmeansquarederror negrootmeansquarederror",
    "mean_absolute_error": "mae l1 l1loss absoluteerror negmeanabsoluteerror",
    "huber": "smoothl1 smoothl1loss huberloss",
    "hinge": "hingeloss hingeembeddingloss svm",
    "poisson": "poissonnll poissonnllloss",
    "binary_crossentropy": "bce bceloss bcewithlogits bcewithlogitsloss binarylogloss sigmoidcrossentropy",
    "categorical_crossentropy": "crossentropy crossentropyloss sparsecategoricalcrossentropy nll nllloss logloss cce ce"
    " softmaxcrossentropy",
    "kl_divergence": "kl kld kldiv kldivloss kullbackleibler kullbackleiblerdivergence",
    # metrics
    "accuracy": "acc accuracyscore binaryaccuracy categoricalaccuracy sparsecategoricalaccuracy",
    "top_k_accuracy": "topkcategoricalaccuracy sparsetopkcategoricalaccuracy top5 topk topkaccuracyscore",
    "precision": "precisionscore ppv",
    "recall": "recallscore sensitivity tpr",
    "f1": "f1score fscore",
    "roc_auc": "auc auroc rocaucscore",
    "log_loss": "crossentropy bce binarycrossentropy categoricalcrossentropy sparsecategoricalcrossentropy neglogloss",
    "r2": "r2score rsquared",
    "pearson": "pearsonr correlation corr pearsoncorrelation",
    # entries of the history
    "val_loss": "lossval validloss validationloss testloss",
    "val_accuracy": "accval accuracyval validacc validationaccuracy testaccuracy testacc",
    # initializers
    "glorot_uniform": "xavier xavieruniform glorot",
    "glorot_normal": "xaviernormal",
    "he_uniform": "kaiming kaiminguniform he",
    "he_normal": "kaimingnormal",
    "lecun_normal": "lecun",
    "random_normal": "normal gaussian",
    "random_uniform": "uniform",
    # optimizers
    "sgd": "momentum gd nesterov",
    # commands, and options of the command line
    "train": "fit learn",
    "summary": "countparams nparams numparams nparameters describe show inspect",
    "out": "output save model",
    "layers": "hidden hiddenlayersizes hiddenlayers hiddensizes",
    # arguments of Network and its layers
    "seed": "randomstate randomseed rngseed",
    "threads": "njobs nthreads numthreads workers",
    "optimizer": "solver optim",
    "output": "outputactivation outactivation lastactivation finalactivation",
    "hidden": "layers hiddenlayersizes hiddenlayers hiddensizes units",
    "units": "outfeatures outputdim nunits numunits neurons nneurons size",
    "use_bias": "bias fitintercept",
    "dropout": "rate p dropoutrate dropoutprob",
    "l2": "alpha weightdecay l2reg l2penalty",
    "l1": "l1reg l1penalty",
    "weight_init": "kernelinitializer initializer init weightinitializer",
    "bias_init": "biasinitializer",
    # arguments of the estimators
    "max_iter": "epochs nepochs numepochs nbepoch maxepochs niter iterations",
    "hidden_layer_sizes": "layers hidden hiddenlayers hiddensizes units",
    "random_state": "seed randomseed",
    "n_threads": "njobs threads numthreads workers",
    "n_iter_no_change": "patience earlystoppingrounds earlystoppingpatience",
    "validation_fraction": "validationsplit valsplit testsize",
    # arguments of optimizers, schedules and numbers of activations
    "learning_rate": "lr eta stepsize learningrateinit initiallearningrate baselr",
    "initial_learning_rate": "lr eta learningrate learningrateinit baselr maxlr",
    "max_learning_rate": "maxlr lr learningrate",
    "end_learning_rate": "minlr etamin endlr",
    "epsilon": "eps",
    "beta_1": "beta1 b1",
    "beta_2": "beta2 b2",
    "rho": "alpha decay beta smoothing",
    "momentum_decay": "scheduledecay",
    "nesterov": "nesterovsmomentum usenesterov",
    "global_clipnorm": "clipnorm maxgradnorm maxnorm gradclip gradientclip clipgradnorm gradientclipnorm",
    "clipvalue": "clip gradientclipvalue clipgradvalue",
    "decay_steps": "steps tmax totalsteps totaliters",
    "total_steps": "steps decaysteps",
    "gamma": "factor decayrate",
    "decay_rate": "gamma factor",
    "step_size": "decaysteps steps",
    "slope": "alpha negativeslope",
    "delta": "beta threshold",
    "label_smoothing": "smoothing",
    "mean": "loc",
    "stddev": "std sd scale",
    "minval": "low minimum",
    "maxval": "high maximum",
    "value": "val",
    # arguments of fit
    "X": "x xtrain inputs data",
    "y": "ytrain target targets labels",
    "epochs": "nbepoch nbepochs nepoch nepochs numepochs epoch maxiter niter numiter iterations maxepochs nepochstotal",
    "batch_size": "batch bs nbatch minibatchsize",
    "validation_split": "validationfraction valsplit validsplit testsize valsize validationsize valfraction",
    "validation": "validationsplit validationfraction valsplit testsize",
    "validation_data": "valdata evalset validationset xval valset testdata",
    "sample_weight": "weights sampleweights",
    "class_weight": "classweights",
    "classes": "classnames labelnames",
    # arguments and attributes of callbacks
    "network": "model net estimator",
    "patience": "wait niternochange earlystoppingrounds earlystoppingpatience stoppingrounds",
    "min_delta": "tol tolerance epsilon threshold delta",
    "restore_best_weights": "restorebest loadbest keepbest",
    "min_lr": "minlearningrate minimumlr",
    "filepath": "path filename file fname",
    "filename": "path filepath file fname",
    "save_freq": "period everynepochs everyepochs saveperiod freq",
    "seconds": "time limit timelimit maxseconds maxtime",
    # arguments and attributes of ensembles
    "members": "nestimators nmodels nnetworks ensemblesize size",
    "networks": "estimators models members",
    "samples": "nsamples draws ndraws size",
    "levels": "quantiles q alpha probabilities",
    "return_std": "std returnstddev returnuncertainty",
    # methods and attributes
    "get_weights": "weights coefs coef intercepts biases parameters statedict trainableweights trainablevariables",
    "set_weights": "loadstatedict",
    "load": "loadweights loadmodel fromfile restore",
    "save": "saveweights savemodel dump tofile",
    "fit": "fitgenerator learn",
    "predict": "transform predictgenerator predictproba call predictonbatch decisionfunction",
    "predict_classes": "predictclass classify",
    "evaluate": "score test testonbatch evaluategenerator",
    "train_on_batch": "partialfit trainbatch trainstep step",
    "loss_and_gradients": "grad gradient backprop",
    "apply_gradients": "applygradient applygrads updateweights",
    "flat_weights": "parameterstovector flatten flatparameters weightvector",
    "set_flat_weights": "vectortoparameters setflatparameters",
    "blend": "polyak softupdate polyakupdate ema",
    "input_gradients": "jacobian",
    "hidden_activations": "activations",
    "reinitialize": "reset reinit initialize resetparameters",
    "epoch": "epochs niter niterations",
    "step": "steps iterations nsteps",
    "feature_names": "columns columnnames features featurenamesin",
    "target_names": "classes labels",
    "description": "descr",
    "to_dict": "getconfig todictionary",
}

_ESTIMATOR_ADVICE = {
    **dict.fromkeys(("lr", "eta"), "did you mean 'learning_rate_init'?"),
    "monitor": "early_stopping=True watches the score of validation rows; callbacks=[...] takes EarlyStopping",
}

_COLUMN_ADVICE = {
    **dict.fromkeys(("units", "axis", "normalized_shape"), "leave it out: there are as many units as inputs"),
    **dict.fromkeys(
        ("gamma_initializer", "beta_initializer", "weight_init", "bias_init"),
        "leave it out: factors begin at 1 and offsets at 0; net.set_weights sets others",
    ),
    "center": "write use_bias=",
    **dict.fromkeys(("scale", "elementwise_affine"), "write trainable=False to leave the factors at 1"),
    **dict.fromkeys(("name", "dtype"), "leave it out"),
}


# What to do instead, where no name has the same meaning: by the function or class, and the wrong name.
ADVICE: dict[str, dict[str, str]] = {
    "Network()": {
        **dict.fromkeys(_FIT_ARGUMENTS, "give it to fit: net.fit(X, y, {name}=...)"),
        **dict.fromkeys(("max_iter", "n_epochs", "nb_epoch", "num_epochs"), "give fit epochs=..."),
        **dict.fromkeys(
            ("learning_rate", "lr", "learning_rate_init", "momentum", "weight_decay", "clipnorm", "clipvalue"),
            "give it to the optimizer, such as optimizer=Adam(1e-3) or SGD(0.01, momentum=0.9)",
        ),
        **dict.fromkeys(
            ("hidden_layer_sizes", "hidden", "hidden_layers", "hidden_sizes", "units", "sizes", "layer_sizes"),
            "give the numbers of inputs, hidden units and outputs as the first argument: Network([30, 16, 8, 2])",
        ),
        **dict.fromkeys(
            ("input_dim", "input_shape", "input_size", "inputs", "n_inputs", "in_features", "n_features"),
            "the first entry of layers is the number of inputs: Network([30, 16, 2])",
        ),
        **dict.fromkeys(
            ("outputs", "output_dim", "output_size", "n_outputs", "out_features", "n_classes", "num_classes"),
            "the last entry of layers is the number of outputs: Network([30, 16, 2])",
        ),
        **dict.fromkeys(
            ("dropout", "l1", "l2", "alpha", "use_bias", "bias", "weight_init", "bias_init", "kernel_initializer"),
            "give it to each layer, such as Dense(16, dropout=0.1, l2=1e-4)",
        ),
        **dict.fromkeys(("early_stopping", "patience"), "give fit callbacks=[EarlyStopping(patience=10)]"),
        **dict.fromkeys(("device", "gpu"), "fastmlp runs on the CPU; leave it out"),
        "name": "networks have no names; leave it out",
        "*": "give all sizes as one list, and the others by name: Network([30, 16, 2], output='softmax')",
    },
    "Network.fit()": {
        "*": "write the others by name, such as epochs=10",
        **dict.fromkeys(("early_stopping", "patience"), "give callbacks=[EarlyStopping(patience=10)]"),
        **dict.fromkeys(("learning_rate", "lr"), "give it to Network, optimizer=Adam(1e-3), or set net.learning_rate"),
        **dict.fromkeys(("optimizer", "loss", "seed", "random_state", "threads", "n_jobs"), "give it to Network"),
        "initial_epoch": "leave it out: epochs counts further epochs, and net.epoch counts all",
        **dict.fromkeys(
            ("steps_per_epoch", "validation_steps", "validation_freq", "validation_batch_size", "workers"),
            "leave it out: an epoch uses every row once, and validates after it",
        ),
    },
    "Network.evaluate()": dict.fromkeys(
        ("verbose", "batch_size", "return_dict", "callbacks"), "leave it out: evaluate returns a dictionary of all rows"
    ),
    "Network.predict()": dict.fromkeys(("verbose", "callbacks", "steps"), "leave it out"),
    "Network.save()": dict.fromkeys(
        ("overwrite", "save_format", "include_optimizer"), "leave it out, or give optimizer=False for weights alone"
    ),
    "Ensemble()": {
        **dict.fromkeys(
            ("epochs", "batch_size", "validation_split", "early_stopping", "sample_weight", "metrics", "callbacks"),
            "give it to fit: ensemble.fit(X, y, {name}=...)",
        ),
        **dict.fromkeys(("learning_rate", "lr"), "give it to the optimizer, such as optimizer=Adam(1e-3)"),
        "networks": "write Ensemble.from_networks(networks)",
    },
    "Ensemble.fit()": {
        "validation_data": "give validation_split=, or train with fit_many, which takes validation_rows=",
        "class_weight": "give sample_weight=, a weight for each row",
        "patience": "give early_stopping=EarlyStopping(patience=10)",
        **dict.fromkeys(("learning_rate", "lr"), "give it to Ensemble, optimizer=Adam(1e-3)"),
        **dict.fromkeys(("optimizer", "loss", "seed", "random_state", "threads", "n_jobs"), "give it to Ensemble"),
    },
    **dict.fromkeys(
        ("Ensemble.predict()", "Ensemble.evaluate()"), dict.fromkeys(("batch_size", "verbose"), "leave it out")
    ),
    "TabularModel.for_table()": dict.fromkeys(
        ("learning_rate", "lr"), "give it to the optimizer: optimizer=Adam(1e-3)"
    ),
    "Dense()": {
        **dict.fromkeys(
            ("input_dim", "input_shape", "in_features", "inputs", "input_size"),
            "the first entry of layers is the number of inputs: Network([30, Dense(16), 2])",
        ),
        **dict.fromkeys(
            ("kernel_regularizer", "bias_regularizer", "activity_regularizer", "regularizer"),
            "give l1= or l2=; biases have no penalty",
        ),
        "weights": "give the weights to net.set_weights",
        "name": "layers have no names; leave it out",
    },
    **dict.fromkeys(("Scale()", "LayerNormalization()"), _COLUMN_ADVICE),
    "Normalization()": {
        **_COLUMN_ADVICE,
        **dict.fromkeys(("mean", "variance"), "call net.adapt(X), or give them to net.set_weights"),
        "invert": "leave it out; Scale() as the last layer learns the size and the offset of the outputs",
    },
    "Network.adapt()": {
        **dict.fromkeys(("y", "labels", "batch_size", "steps", "reset_state"), "leave it out"),
        "*": "adapt takes only X",
    },
    "LBFGS()": {
        **dict.fromkeys(
            ("max_iter", "maxiter", "max_eval", "max_fun", "epochs"), "give fit the number of iterations, epochs=..."
        ),
        **dict.fromkeys(("lr", "learning_rate"), "leave it out: a line search chooses the length of each step"),
        **dict.fromkeys(("history_size", "m", "maxcor"), "write memory="),
        **dict.fromkeys(("tolerance_grad", "tol", "pgtol"), "write gtol="),
        **dict.fromkeys(("tolerance_change", "factr"), "write ftol="),
        **dict.fromkeys(("line_search_fn", "line_search"), "leave it out: there is one line search"),
        **dict.fromkeys(("clipvalue", "global_clipnorm"), "leave it out: a line search needs the whole gradient"),
    },
    "Optimizer()": {
        "weight_decay": "give it to each layer, Dense(16, l2=1e-4), or use AdamW(weight_decay=1e-2)",
        "betas": "give beta_1= and beta_2=",
        "decay": "give a schedule as learning_rate, such as InverseTimeDecay(1e-3, 1000, 0.5)",
        "params": "an optimizer is given to Network, which passes its parameters",
    },
    "EarlyStopping()": {
        "verbose": "leave it out; after the fit, stopped_epoch and best_epoch tell what happened",
        **dict.fromkeys(("baseline", "start_from_epoch"), "there is no such option; write a Callback of your own"),
    },
    "ModelCheckpoint()": {
        "verbose": "leave it out",
        "save_weights_only": "leave it out; net.save(path, optimizer=False) writes weights alone",
    },
    "MLPClassifier()": _ESTIMATOR_ADVICE,
    "MLPRegressor()": _ESTIMATOR_ADVICE,
    "load_breast_cancer()": {
        "return_X_y": "write data = load_breast_cancer(), then data.X and data.y",
        "as_frame": "write pandas.DataFrame(data.X, columns=data.feature_names)",
    },
    # attributes
    "Network": {
        "layers": "architecture.layers describes the layers, and get_weights() returns the (W, b) of each",
        **dict.fromkeys(("optimizer", "loss", "inputs", "outputs", "dtype"), "write net.architecture.{name}"),
        **dict.fromkeys(("input_shape", "n_features_in_"), "write net.architecture.inputs"),
        **dict.fromkeys(("output_shape", "n_outputs_"), "write net.architecture.outputs"),
        "compile": "give loss= and optimizer= to Network, and metrics= to fit and evaluate",
        "add": "give all layers to Network: Network([30, 16, 2])",
        **dict.fromkeys(("load_weights", "load_model"), "write net = Network.load(path), which returns a new network"),
        **dict.fromkeys(
            ("train", "eval"), "it is not needed: fit trains, with dropout, and predict never uses dropout"
        ),
        **dict.fromkeys(("to", "cuda", "cpu", "device"), "fastmlp runs on the CPU"),
        **dict.fromkeys(("double", "float", "half", "astype"), "give dtype='float64' or 'float32' to Network"),
        **dict.fromkeys(("copy", "clone"), "write copy.copy(net)"),
        **dict.fromkeys(("loss_curve_", "loss_", "losses", "validation_scores_"), "write net.history['loss']"),
        **dict.fromkeys(("get_params", "set_params"), "the estimators of fastmlp.sklearn have it"),
        **dict.fromkeys(("get_config", "to_json", "config"), "write net.architecture.to_dict()"),
        **dict.fromkeys(("to_onnx", "to_c", "to_torch", "to_sklearn"), "write fastmlp.{name}(net)"),
        **dict.fromkeys(("plot", "plot_history"), "write net.history.plot(), or see fastmlp.plot"),
        **dict.fromkeys(("requires_grad_", "trainable"), "write net.freeze(layers), or Dense(..., trainable=False)"),
        "zero_grad": "it is not needed: fit and train_on_batch compute new gradients in each step",
    },
    "Ensemble": {
        "history": "write ensemble.histories, one for each member",
        **dict.fromkeys(
            ("architecture", "layers", "optimizer", "loss", "seed", "epoch", "get_weights", "set_weights"),
            "each of ensemble.networks has its own",
        ),
        **dict.fromkeys(("to_onnx", "to_c"), "write fastmlp.{name}(ensemble)"),
    },
    "Normalization": {"adapt": "call net.adapt(X) on the network"},
    "Callback": {
        "model": "write self.network",
        "params": "the arguments of fit are not kept; self.entries has the names of the logs",
    },
    "TabularModel": {
        "predict_proba": "write numpy.concatenate(list(model.predictions(path)))",
        **dict.fromkeys(("classes", "classes_"), "write model.schema.target.classes"),
        **dict.fromkeys(("columns", "feature_names", "target"), "see model.schema"),
        **dict.fromkeys(("history", "get_weights", "set_weights", "summary"), "write model.network.{name}"),
    },
    "Dataset": {
        "data": "write X",
        "target": "write y",
        "frame": "write pandas.DataFrame(data.X, columns=data.feature_names)",
    },
    "fastmlp": {
        **dict.fromkeys(("Sequential", "Model", "MLP", "NeuralNetwork", "NN"), "write fastmlp.Network([30, 16, 2])"),
        **dict.fromkeys(("load_model", "load"), "write fastmlp.Network.load(path)"),
        **dict.fromkeys(("Input", "InputLayer"), "the first entry of Network([30, 16, 2]) is the number of inputs"),
        **dict.fromkeys(("Dropout",), "write Dense(16, dropout=0.1)"),
        **dict.fromkeys(("Linear", "Layer"), "write fastmlp.Dense"),
        **dict.fromkeys(("LayerNorm",), "write fastmlp.LayerNormalization"),
        **dict.fromkeys(
            ("BatchNormalization", "BatchNorm1d", "BatchNorm"),
            "there is none; LayerNormalization normalizes rows, and Normalization standardizes inputs",
        ),
        **dict.fromkeys(("Activation",), "write Dense(16, activation='relu')"),
        **dict.fromkeys(_DATA_SETS_ELSEWHERE, "scikit-learn has this data set"),
    },
    "fastmlp.datasets": dict.fromkeys(_DATA_SETS_ELSEWHERE, "scikit-learn has this data set"),
}


def _key(name: str) -> str:
    """Return a name without case, underscores, hyphens, dots and blanks, so that LeakyReLU is leaky_relu."""
    return "".join(c for c in name.lower() if c not in "_-. ")


@functools.cache
def _synonyms() -> dict[str, list[str]]:
    """Return the names here by the names of others."""
    found: dict[str, list[str]] = {}
    for name, others in _OTHERS.items():
        for other in others.split():
            found.setdefault(other, []).append(name)
    return found


def nearest(given: str, known: Iterable[str]) -> str | None:
    """Return the known name that `given` most likely stands for, None if there is none.

    Names of the history are found with and without "val_": `val_acc` is `val_accuracy`.

    Parameters
    ----------
    given : str
        A name that is not known.
    known : iterable of str
        The names to choose from.
    """
    names = {_key(name): name for name in known}
    key = _key(given)
    plain = key.removeprefix("val")
    candidates = [key, *_synonyms().get(key, ())]
    if plain != key:
        candidates += [f"val{_key(each)}" for each in (plain, *_synonyms().get(plain, ()))]
    else:
        candidates += [f"val{_key(each)}" for each in candidates]
    for candidate in map(_key, candidates):
        if candidate in names:
            return names[candidate]
    prefix = "val_" if plain != key else ""
    endings = [name.removeprefix(prefix) for name in names.values() if name.startswith(prefix)]
    near = difflib.get_close_matches(given.lower().removeprefix(prefix), endings, n=1)
    return prefix + near[0] if near else None


def hint(given: str, known: Iterable[str], owner: str = "") -> str:
    """Return the end of a message about an unknown name: a question, advice, or nothing.

    Parameters
    ----------
    given : str
        The unknown name.
    known : iterable of str
        The names that are known there.
    owner : str
        The entry of `ADVICE` that applies: a class, or a function with "()".
    """
    advice = ADVICE.get(owner, {}).get(given)
    if advice is not None:
        return f"; {advice.format(name=given)}"
    name = nearest(given, known)
    return f"; did you mean {name!r}?" if name is not None else ""


def require_known(given: Mapping[str, Any], known: frozenset[str], owners: Iterable[str]) -> None:
    """Check the names of keyword arguments.

    Parameters
    ----------
    given : mapping
        The keyword arguments.
    known : frozenset of str
        The names of the parameters.
    owners : iterable of str
        The function or class, then its base classes. The message names the first.

    Raises
    ------
    TypeError
        If a name is unknown, as Python does, with a hint.
    """
    if given.keys() <= known:
        return
    first, *bases = owners
    name = next(name for name in given if name not in known)
    owner = next((each for each in (first, *bases) if name in ADVICE.get(f"{each}()", ())), first)
    found = hint(name, sorted(known), f"{owner}()")
    found = found or (f"; the arguments are {', '.join(sorted(known))}" if known else "; it takes no arguments")
    raise TypeError(f"{first}() got an unexpected keyword argument {name!r}{found}")


def parameters_of(function: Any) -> frozenset[str]:
    """Return the names of the parameters of a Python function, without self and cls."""
    code = function.__code__
    return frozenset(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]) - {"self", "cls"}


def check_keywords(function: Callable[P, R]) -> Callable[P, R]:
    """Return a function whose TypeError for an unknown argument has a hint.

    The arguments are looked at only after a TypeError, because each call of `Network.predict` for one row takes 4
    microseconds, of which a check before the call took 0.5.
    """
    known = parameters_of(function)
    limit = function.__code__.co_argcount
    owner = function.__qualname__.removesuffix(".__init__")

    @functools.wraps(function)
    def checked(*arguments: P.args, **keywords: P.kwargs) -> R:
        try:
            return function(*arguments, **keywords)
        except TypeError:
            if keywords.keys() <= known and len(arguments) <= limit:
                raise
        require_known(keywords, known, [owner])
        raise _too_many_arguments(function, owner, len(arguments))

    return checked


def _too_many_arguments(function: Any, owner: str, given: int) -> TypeError:
    """Return the TypeError for more arguments without a name than a function takes."""
    code = function.__code__
    positional = [name for name in code.co_varnames[: code.co_argcount] if name not in ("self", "cls")]
    given -= code.co_argcount - len(positional)
    named = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    advice = ADVICE.get(f"{owner}()", {}).get("*", f"write the others by name, such as {named[0]}=..." if named else "")
    taken = f"only {' and '.join(positional)}" if positional else "no argument"
    such = "such argument" if given == 1 else "such arguments"
    return TypeError(f"{owner}() takes {taken} without a name, got {given} {such}{'; ' * bool(advice)}{advice}")


class _OnClassOnly(classmethod):  # type: ignore[type-arg]
    """A class method that raises TypeError if it is called on an instance."""

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """Return the method of a class; of an instance, a function that raises."""
        if instance is None:
            return super().__get__(None, owner)
        kind, name = type(instance).__name__, self.__func__.__name__

        @functools.wraps(self.__func__)
        def refused(*_: Any, **__: Any) -> Any:
            raise TypeError(
                f"{name}() returns a new {kind} and does not change this one; call it on the class, such as "
                f"new = {kind}.{name}(...)"
            )

        return refused


def on_class_only(method: R) -> R:
    """Return a class method that raises TypeError if it is called on an instance, which it would not change."""
    assert isinstance(method, classmethod)
    return _OnClassOnly(method.__func__)  # type: ignore[return-value]


class AttributeHints:
    """A base class whose AttributeError for an unknown attribute has a hint."""

    if not TYPE_CHECKING:  # type checkers shall report unknown attributes

        def __getattr__(self, name):
            """Raise AttributeError with a hint. Python calls this method only if there is no such attribute."""
            if isinstance(getattr(type(self), name, None), property):
                object.__getattribute__(self, name)  # raises the AttributeError of the property again
            raise unknown_attribute(self, name)


def module_attributes(module: str) -> Callable[[str], Any]:
    """Return the `__getattr__` of a public module. Its AttributeError for an unknown name has a hint.

    Parameters
    ----------
    module : str
        The name of the module, which is being imported.
    """

    def missing(name: str) -> Any:
        found = "" if name.startswith("_") else hint(name, _public_names(sys.modules[module]), module)
        raise AttributeError(f"module {module!r} has no attribute {name!r}{found}", name=name)

    return missing


def _public_names(module: ModuleType) -> list[str]:
    """Return the names that a module offers: those of `__all__`, or those that it defines."""
    defined = [name for name, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__]
    return [name for name in getattr(module, "__all__", defined) if not name.startswith("_")]


def refuse_other_name(owner: object, name: str) -> None:
    """Check that a new attribute has no name that another library uses for something of this object.

    Raises
    ------
    AttributeError
        If it has one: setting it would have no effect. The message has a hint.
    """
    kind = type(owner)
    if name.startswith("_") or hasattr(kind, name):
        return
    meant = [each for each in _synonyms().get(_key(name), ()) if hasattr(kind, each)]
    if meant or name in ADVICE.get(kind.__name__, ()):
        found = hint(name, meant) if meant else f"; it is decided when the {kind.__name__} is created"
        raise AttributeError(f"setting {name!r} of a {kind.__name__} has no effect{found}", name=name)


def unknown_attribute(owner: object, name: str) -> AttributeError:
    """Return the AttributeError for an attribute that an object does not have.

    The error has no `obj`, so that Python does not append a suggestion of its own. Private names get no hint, because
    Python and other libraries look for many of them.
    """
    kind = type(owner)
    message = f"{kind.__name__!r} object has no attribute {name!r}"
    if not name.startswith("_"):
        entry = nearest(name, owner) if isinstance(owner, Mapping) and vars(owner) else None
        if entry is not None:
            return AttributeError(f"{message}; write {kind.__name__.lower()}[{entry!r}]", name=name)
        names = [each for each in dir(owner) if not each.startswith("_")]
        bases = [base.__name__ for base in kind.__mro__]
        message += hint(name, names, next((base for base in bases if name in ADVICE.get(base, ())), ""))
    return AttributeError(message, name=name)
