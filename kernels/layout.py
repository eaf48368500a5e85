"""Where things lie in memory: panels, blocks, and the words of the plan that every kernel reads.

A matrix of activations or deltas with N columns is stored in panels of 16 columns, [panel][row][16], N padded to a
multiple of 16. A weight matrix is stored in blocks of 16 x 16, W as [unit panel][input panel][16 inputs][16 units] and
its transpose WT as [input panel][unit panel][16 units][16 inputs], so that both products read blocks in sequence and no
step packs anything. Padding of weights and deltas stays zero; what activations leave in theirs reaches no parameter.

A kernel receives `weights` (the parameter vector, whose type says float32 or float64) and `plan` (whole numbers: sizes,
offsets, addresses), and finds all else from them.
"""

from __future__ import annotations

PANEL = 16
BLOCK = PANEL * PANEL
LEAST_WEIGHT = 2.0**-1022  # a smaller sum of weights counts as 0: its reciprocal is infinite

# The head of the plan. What changes from phase to phase comes first, in one line of the cache.
PLAN_WORDS = (
    PHASE,  # which row of the program is under way
    REGION_OF_PHASE,  # its kernel
    LAYER_OF_PHASE,  # the layer that it is about, or begins with
    STEPS_DONE,  # whole steps of this call
    ROWS,  # rows of this step
    POSITION,  # where in ORDER this step's rows begin
    READY,  # 1 once the epoch's order and snapshot are made
    BROKEN,  # 1 where parameters were not finite as an epoch ended, or inputs of a prediction
    PROGRAM,  # address of the phases
    CREW,  # address of what the members of a crew tell each other
    MEMBER,  # address of the kernel that each runs
    LAYERS,  # how many layers
    CAPACITY,  # rows of a buffer of activations or deltas, a multiple of 16
    BATCH,  # rows of a full step
    CHUNK,  # rows that go through all layers together, a multiple of 16
    GROUPS,  # into how many groups the rows of a step are cut whose gradients are summed apart, or 0
    THREADS,  # into how many shares a region is cut
    TILES,  # blocks of weights of all layers
    PARAMETERS,  # elements of the parameter vector
    BACKWARD,  # 0 where the rows region ends with the loss
    ADDING,  # 1 where a gradient is added to what stands in GRADIENT
    CLIPPING,  # 1 where a step updates only when the norm of the whole gradient is known
    PENALISED,  # 1 where l1 and l2 join in
    AVERAGED,  # 1 where penalties too are divided by the sum of the weights of a step's rows
    SHUFFLED,  # 1: a new order each epoch
    SAMPLES,  # rows of an epoch
    STAGED_FROM,  # position in the epoch of the first row that X holds
    TARGETS_FROM,  # the same of the targets and weights, or -1 where they lie as X does
    KEPT_EPOCH,  # the counters that belong to the snapshot
    KEPT_BATCH,
    KEPT_STEP,
    OUTPUT_LAYER,  # the layer whose activations are the prediction
    SLOT_STRIDE,  # elements from one slot to the next
    SCRATCH_STRIDE,  # elements of a thread's scratch
    X_STRIDE,  # elements from row to row of the user's data
    Y_STRIDE,
    OUTPUT_STRIDE,
    STATE,  # addresses of buffers from here on
    TOTALS,  # float64, what the epoch's columns of the results have reached
    NUMBERS,
    WEIGHTS,
    TRANSPOSED,
    SLOTS,
    SLOT_COUNT,
    GRADIENT,
    GROUP_GRADIENTS,
    SNAPSHOT,
    ACTIVATIONS,
    DELTAS,
    TARGETS,
    ROW_WEIGHTS,
    ROW_LOSSES,
    TILE_PENALTIES,
    TILE_SQUARES,  # float64, the sum of the squares of each block's gradient
    SCRATCH,
    ORDER,  # int64 row numbers, or 0 for rows in sequence
    TRAINING_ROWS,  # int64 row numbers that an epoch draws from, or 0 for all
    X,
    Y,
    LABELS,  # int64 class labels in place of Y, or 0
    SAMPLE_WEIGHTS,  # float64, or 0
    OUTPUT,
    ROWS_REGION,  # addresses of kernels from here on
    GRADIENTS_REGION,
    GROUP_PRODUCTS,
    LOSS,
    PRODUCT,
    PRODUCT_UPDATE,
    UPDATE,
) = tuple(range(69))
HEAD = 72

# A row of the program: a phase's kernel, the layer that it is about, and what is to be done once it is over. The first
# two are what an epoch begins and ends with; a step's follow.
PHASE_WORDS = (REGION, FROM_LAYER, THEN) = (0, 1, 2)
PHASE_ROW = 4
KEEP_PHASE, CHECK_PHASE, FIRST_PHASE = 0, 1, 2
(GO_ON, BEGIN_EPOCH, END_EPOCH, TAKE_LOSSES, CHOOSE_FACTOR, END_STEP) = tuple(range(6))

# What the members of a crew write for each other, far enough apart that no two lie in one line of a cache (128 bytes,
# since a processor may fetch lines in pairs): the number of the phase under way, how many shares have been done, and of
# each share the last phase in which it was claimed.
CREW_LINE = 16
CREW_PHASE, CREW_DONE, CREW_CLAIMS = 0, CREW_LINE, 2 * CREW_LINE

# The state of training, which outlives a plan: the seed, counters of what is finished, and what the epoch under way is
# made of: how many rows, in batches of which size, and a mark of the data.
STATE_WORDS = (SEED, EPOCH, BATCH_OF_EPOCH, STEP, EPOCH_ROWS, EPOCH_BATCH_SIZE, EPOCH_MARK) = tuple(range(7))

# A layer's row of the plan; the rows follow the head. Offsets are in elements.
LAYER_WORDS = (
    INPUTS,
    UNITS,
    INPUT_PANELS,
    UNIT_PANELS,
    W,
    WT,
    B,
    BELOW,  # the A of the layer below
    A,  # outputs after dropout, which the next layer reads
    G,  # g(Z), before dropout; the same place as A without
    MASK,  # inverted-dropout factors, or -1
    SLOPES,  # g'(Z), kept where it does not follow from g(Z), or -1
    DELTA,
    FORWARD,  # address of g in place over Z, or 0 where the threshold does it
    DERIVATIVE,  # address of delta *= g', or 0 likewise
    MIXES,  # 1 where g mixes the units of a row
    USES_BIAS,
) = tuple(range(17))
LAYER = 24

# The float64 numbers of the plan: the head, then a row a layer.
NUMBER_WORDS = (
    SCALE,  # 1 / (sum of the weights of this step's rows)
    KEPT_TOTALS,  # three numbers: the totals that belong to the snapshot
    LOSS_PARAMETERS,
    CLIP_VALUE,  # the largest element of a gradient that is left as it is; infinity where all are
    CLIP_NORM,  # the largest norm of the whole gradient likewise
    CLIP_FACTOR,  # what this step's gradient is multiplied by
    SUM_OF_WEIGHTS,  # of this step's rows
    PENALTY_FACTOR,  # of l1 and l2 in this step: 1, or SCALE where they are averaged
) = (0, 1, 4, 5, 6, 7, 8, 9)
NUMBER_HEAD = 16
LAYER_NUMBERS = (THRESHOLD, DROPOUT, L1, L2, ACTIVATION_PARAMETERS) = (0, 1, 2, 3, 4)
NUMBER_LAYER = 8

# A row of the per-step table: the optimizer's constants, the decay of weights last.
CONSTANT_COUNT = 7
DECAY = CONSTANT_COUNT - 1  # among the constants: what weights are multiplied with, and biases are not
STEP_ROW = 8

# A row of the table of results: of this step, and of the epoch up to and with this step.
RESULT_WORDS = (LOSS_SUM, WEIGHT_SUM, PENALTY, EPOCH_LOSS_SUM, EPOCH_WEIGHT_SUM, EPOCH_PENALTY) = tuple(range(6))
RESULT_ROW = 8

# A thread's scratch: a block of zeros, the optimizer's constants for weights and for biases, then room to work.
ZEROS, STEP_CONSTANTS, BIAS_CONSTANTS, WORK = 0, BLOCK, BLOCK + PANEL, BLOCK + 2 * PANEL
