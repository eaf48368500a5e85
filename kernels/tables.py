"""The tables that Python fills and the kernels read: what a network is, how a step runs, and where everything lies.

A kernel receives a `Plan`, from which it reaches every other table and buffer. The comment of each field gives its
unit, and after the semicolon its writer:

- "plan" is `fastmlp._engine.plan`, when the plan is made;
- "data" is the source of batches, or the call that points the plan to the user's rows;
- "step" is `fastmlp.kernels.drivers.step`, between two phases, and "passes" is `fastmlp.kernels.drivers.passes`;
- "region" is the kernel of a phase, and "team" is `fastmlp.kernels.drivers.team`.

Rows are counted from 0. An address is 0 where there is nothing.
"""

from __future__ import annotations

from fastmlp.kernels.host.annotations import Code, Floats, Ints, Reals, Records, table


@table
class State:
    """The state of training, which outlives a plan: the seed, counters, and the data and sums of the current epoch."""

    seed: int  # of all random numbers; written when the network is made
    epoch: int  # epochs completed; step, as an epoch ends
    batch: int  # batches completed of the current epoch; step, as a step ends
    step: int  # steps completed; step, as a step ends
    epoch_rows: int  # rows of the current epoch; Engine, as a fit begins
    epoch_batch_size: int  # rows of each of its batches; Engine, as a fit begins
    epoch_fingerprint: int  # a checksum of its data, to recognize other data; Engine, as a fit begins
    loss_sum: float  # of the epoch so far, weighted losses of rows; step, as a step ends
    weight_sum: float  # of the epoch so far, weights of rows; step, as a step ends
    penalty_sum: float  # of the epoch so far, penalties of its steps; step, as a step ends
    updating: int  # 1 while the weights may be those of no whole step; passes, NetworkLock


@table
class Layer:
    """One layer: its sizes, where its numbers lie, and the kernels of its activation. Written with the plan."""

    inputs: int  # columns of A below
    units: int
    input_panels: int  # panels of 16 that hold the inputs
    unit_panels: int  # panels of 16 that hold the units
    w_rows: int  # rows of W: the inputs, or 1 where W has a number for each unit
    w_panels: int  # panels of 16 that hold these rows
    w: int  # elements from the start of the parameter vector to the blocks of W
    b: int  # elements from the start of the parameter vector to b
    wt: Reals  # blocks of the transpose of W
    below: Reals  # A of the layer below, or the inputs
    factor: Reals  # what W is multiplied by: A below, or A below with each row normalized
    a: Reals  # outputs after dropout, which the next layer reads
    g: Reals  # g(Z), before dropout; the same place as `a` without dropout
    mask: Reals  # inverted-dropout factors, or 0
    saved_derivatives: Reals  # g'(Z), saved where it does not follow from g(Z), or 0
    delta: Reals  # dJ/dZ, or 0 in a plan that only predicts
    columns: Code  # Z of a layer of columns from A below, or 0 where Z is a product
    columns_back: Code  # dJ/dA below of a layer of columns, or 0
    forward: Code  # g in place over Z, or 0 where the threshold does it
    derivative: Code  # delta *= g', or 0 where the threshold does it
    mixes_units: int  # 1 where g mixes the units of a row, as softmax does
    uses_bias: int  # 1 where b is learned
    trains: int  # 0 for a layer at rest
    constants: int  # elements from the constants of a step to those of the layer
    threshold: float  # z is replaced by it where z is less: 0 for relu, minus infinity for none
    dropout: float  # share of the units that a training drops
    l1: float  # factor of sum |W|
    l2: float  # factor of sum W^2 / 2
    epsilon: float  # what is added to the variance of a row that is normalized
    parameters: Floats  # numbers of the activation, such as a slope


@table
class Phase:
    """One phase of a step. Written with the plan, by `fastmlp._engine.step_plan`."""

    region: Code  # the kernel that computes one share of the phase
    layer: int  # the layer that the phase computes, or begins with
    then: int  # what is done once after all shares, one of the constants below


CONTINUE, BEGIN_EPOCH, END_EPOCH, TAKE_LOSSES, CHOOSE_FACTOR, END_STEP, END_CALL = range(7)
"""Values of `Phase.then`."""

SNAPSHOT_PHASE, CHECK_PHASE, FIRST_PHASE = 0, 1, 2
"""Places in the table of phases: the phase before an epoch, the phase after it, and the first phase of a pass."""


@table
class Result:
    """The sums of one step, and of the epoch up to and including it. Written by step, as the step ends."""

    loss_sum: float  # weighted losses of the step's rows
    weight_sum: float  # weights of the step's rows
    penalty: float  # l1 and l2 penalties of all weights
    epoch_loss_sum: float  # the same three sums over the steps of the epoch so far
    epoch_weight_sum: float
    epoch_penalty_sum: float


@table
class StepTable:
    """The constants of the optimizer for some steps, which are counted from 1. Written by `StepConstants`."""

    first: int  # the step of the first row
    last: int  # the step after that of the last row
    constants: int  # the count of changes of the constants when it was made
    rows: Floats  # a row for each step, see `layout`; or one row of zeros


@table
class Plan:
    """All parameters of a kernel, for one network, one purpose and one size of batch."""

    phase: int  # place in `phases` of the current phase; step, before each phase
    region: Code  # kernel of the current phase; step, before each phase
    layer: int  # layer of the current phase; step, before each phase
    steps_done: int  # whole steps of this call; step
    rows: int  # rows of this step, or of this call; step, data
    position: int  # place in `order` of the first of these rows; step
    epoch_ready: int  # 1 once the epoch's order and snapshot are made; step, data
    not_finite: int  # 1 where parameters, or inputs of a prediction, are NaN or infinite; region

    phases: Records[Phase]  # plan, for each number of threads
    team: Ints  # by which the workers of a call synchronize, see `layout`; plan, filled by team
    worker: Code  # kernel that each worker runs; StepRunner
    layers: Records[Layer]  # plan
    layer_count: int  # plan
    output_layer: int  # place of the layer whose activations are the prediction; plan, inference
    threads: int  # shares into which a phase is divided; StepRunner, inference

    target_columns: int  # numbers of a row of `y`; plan
    capacity: int  # rows of each buffer of activations or deltas, a multiple of 16; plan
    batch_size: int  # rows of a full step; data
    chunk_rows: int  # rows that pass through all layers together, a multiple of 16; plan
    groups: int  # groups of rows whose gradients are summed apart, or 0; plan
    block_count: int  # 16 x 16 blocks of weights of all layers; plan
    parameter_count: int  # elements of the parameter vector, a multiple of 16; plan
    product_inputs: int  # inputs of a panel product that are computed at a time, a multiple of 16; plan
    product_rows: int  # rows of a block product that are computed at a time; plan
    lowest_trained: int  # place of the lowest layer whose delta is computed; plan, for each program
    step_row: int  # elements from the constants of a step to those of the next; plan
    slot_count: int  # values that the optimizer keeps for each parameter; plan

    forward: int  # 0 where the rows region begins with the activations of the pass before; plan
    backward: int  # 0 where the rows region ends with the loss; plan, inference
    drops: int  # 0 where dropout is off; plan
    writes_output: int  # 1 where the rows region writes the activations of the last layer to `output`; inference
    accumulates: int  # 1 where gradients are added to `gradient`, 0 where they replace it; plan
    clips_norm: int  # 1 where a step updates only once the norm of the whole gradient is known; plan
    penalised: int  # 1 where l1 and l2 penalties are added; plan, inference
    averages_penalties: int  # 1 where penalties are divided by the sum of the weights of a step's rows; plan

    state: Records[State]  # of the network, or of a pass; plan
    network_state: Records[State]  # of the network; plan
    counts: Ints  # what is counted for the network, see `layout`; passes and `Parameters`
    forward_version: int  # version of the weights of the last forward pass, or -1; passes
    rests: int  # the count of changes of the layers at rest that the tables know; plan
    snapshot_state: Records[State]  # a copy that belongs to the snapshot; plan, filled by step
    weights: Reals  # the parameter vector: the blocks of every W, then every b; plan
    slots: Reals  # slot after slot, `parameter_count` elements each; plan
    gradient: Reals  # in the layout of the parameter vector, or 0; plan
    group_gradients: Reals  # group after group, `parameter_count` elements each, or 0; plan
    snapshot: Reals  # parameters and slots at the start of the epoch, or of this fit; plan, filled by region
    inputs: Reals  # panels of X, which the first layer reads; plan
    targets: Reals  # panels of y; plan
    row_weights: Floats  # a weight for each row of the buffers; plan
    row_losses: Floats  # a loss for each row of a step; plan
    block_penalties: Floats  # a penalty for each block of weights; plan
    block_squares: Floats  # the sum of the squares of each block's gradient, or 0; plan
    scratch: Reals  # a workspace for each thread, see `layout`; plan
    scratch_stride: int  # elements from one thread's scratch to the next; plan

    samples: int  # rows of an epoch; data
    order: Ints  # row numbers in the order of the epoch, or 0 for rows in sequence; data
    training_rows: Ints  # row numbers that an epoch draws from, or 0 for all; data
    shuffles: int  # 1 for a new order each epoch; data
    staged_from: int  # place in the epoch of the first row that `x` holds; data
    targets_from: int  # place in the epoch of the first target and weight, or -1 where they are staged as `x` is; data
    x: Reals  # the user's rows; data
    x_stride: int  # elements from row to row; data
    y: Reals  # the user's targets, rows of numbers; data
    y_stride: int  # elements from row to row; data
    labels: Ints  # class labels in place of `y`, or 0; data
    sample_weights: Floats  # a weight for each of the user's rows, or 0; data
    output: Reals  # the user's rows of predictions, or of input gradients; inference
    output_stride: int  # elements from row to row; inference

    rows_region: Code  # of an inference; plan
    gradients_region: Code  # of an inference, or 0; plan
    group_products: Code  # adds the gradients of a chunk of rows to those of its group, or 0; plan
    output_forward: Code  # g of the last layer where the loss reads Z, or 0; plan
    loss: Code  # losses of rows and the delta, or dJ/dA, of the last layer, or 0 in a forward pass; plan
    row_product: Code  # products of a single row, or 0 where a call seldom has one row; plan
    product: Code  # gradient of a block of weights; plan
    product_update: Code  # gradient of one block while another is updated, or 0; plan
    update: Code  # update of a block; plan
    restore: Code  # writes the snapshot back; plan
    check: Code  # sets `not_finite` where a call of few rows must be refused, or 0; plan

    scale: float  # 1 / (sum of the weights of this step's rows), or 0; step, inference
    sum_of_weights: float  # of this step's rows; step
    penalty_factor: float  # of l1 and l2 in this step: 1, or `scale` where they are averaged; step, inference
    clip_value: float  # the limit of the absolute value of a gradient's elements, infinity for none; plan
    clip_norm: float  # the limit of the norm of the whole gradient, infinity for none; plan
    clip_factor: float  # the factor of this step's gradient; step
    loss_parameters: Floats  # numbers of the loss, such as Huber's delta; plan
    least: float  # the smallest target that the loss takes; plan
    most: float  # the largest target that the loss takes; plan


@table
class Evaluation:
    """The loss and the metrics of rows that do not change. Written by `fastmlp._engine.evaluations`."""

    plan: Records[Plan]  # a plan for losses, which points to the rows
    rows: int  # of the samples
    piece_rows: int  # rows that are computed at a time, which decides how losses are summed
    weight_sum: float  # of the rows
    penalised: int  # 1 where the network has penalties
    loss_sum: float  # weighted losses of the pieces so far; evaluation
    outputs: Reals  # the outputs of all rows
    reads: int  # what the metrics compare, one of the constants below
    estimate_step: int  # columns from one output that estimates a target to the next
    first_estimate: int  # the first such column
    estimates: int  # their number
    metric_count: int  # of `metrics`
    metrics: Ints  # codes of the metrics, from the constants below
    totals: Floats  # for each target the weighted sum of squares around its mean
    sums: Floats  # a workspace, `estimates` elements
    values: Floats  # the loss, then the metrics; evaluation


READS_LABELS, READS_CLASSES, READS_HALVES, READS_SIGNS, READS_NUMBERS = range(5)
"""Values of `Evaluation.reads`: class labels, rows with a number for each class, decisions at 1/2 or at 0, numbers."""

ACCURACY, MEAN_ABSOLUTE_ERROR, MEAN_SQUARED_ERROR, ROOT_MEAN_SQUARED_ERROR, R2 = range(5)
"""Values of `Evaluation.metrics`."""


@table
class Task:
    """One of many networks, which a thread trains for some epochs. Written by `fastmlp._engine.many_tasks`."""

    plan: Records[AnyPlan]  # of training; first of the words
    words: Ints  # the records that belong to the network: of its plans, their layers and its evaluation
    relocations: Ints  # pairs: a word that points into the buffers of the thread, and the bytes from their start
    relocation_count: int  # pairs
    steps: Floats  # the optimizer's constants from the next step on; many
    steps_per_epoch: int  # of the network; many
    orders: Ints  # the rows of the next epochs in the order in which they train, or 0 where the plan orders them; many
    loss_factor: float  # of the mean over the batches, by their rows; 0 where an epoch has the mean over all rows
    evaluate: Code  # the kernel that evaluates, or 0 without rows of validation
    evaluation: Ints  # the record of the evaluation
    values: Floats  # what the evaluation writes: the loss, then the metrics
    history: Floats  # a row of `columns` for each epoch: the loss of training, then the values
    columns: int  # 1, or 1 more than there are values
    epochs: int  # epochs to train
    epochs_done: int  # of these; train_many
    status: int  # one of the constants below; train_many
    monitor: int  # the column that is monitored, or -1
    sign: float  # of the monitored value: 1 where smaller is better, -1 where larger is
    min_delta: float  # by how much a value must be better to count
    keeps_any_best: int  # 1 where a value that is better by less is kept as the best, too, and the count goes on
    patience: int  # epochs without a better value that end the training
    waited: int  # epochs since the best one; train_many
    best: float  # the best value so far; train_many
    best_epoch: int  # the row of the history of the best epoch, or -1; train_many
    weights: Ints  # the parameter vector, as words
    best_weights: Ints  # a copy of it after the best epoch, or 0; train_many
    weight_words: int  # words of the parameter vector


RUNNING, FINISHED, STOPPED, OVERFLOWED, UNDEFINED = range(5)
"""Values of `Task.status`: training goes on; is over; was stopped early; was undone, since a value was not finite;
ended, since the monitored value is NaN."""


@table
class TaskQueue:
    """Many networks, and the memory of the threads that train them. Written by `fastmlp._engine.many_loop`."""

    tasks: Records[Task]  # one for each network
    numbers: Ints  # of the tasks of this call
    count: int  # of these tasks
    next: Ints  # the place in the queue of the next task that no thread has claimed
    epochs: int  # that a thread trains a network in this call, at most
    threads: int  # of this call
    buffers: int  # the address of the buffers of the first thread
    buffer_bytes: int  # from one thread's buffers to the next
    results: Records[Result]  # for each thread
    result_rows: int  # from one thread's results to the next
    worker: Code  # the kernel that each thread runs


AnyPlan = Plan
"""The annotation for kernels that pass a plan on without reading reals, and so are compiled once for both dtypes."""
