"""Where numbers lie in memory: panels, blocks, scratch and the lines of a team.

A matrix of activations or deltas with N columns is stored in panels of 16 columns, [panel][row][16], N padded to a
multiple of 16. A weight matrix is stored in blocks of 16 x 16: W as [unit panel][input panel][16 inputs][16 units], its
transpose WT as [input panel][unit panel][16 units][16 inputs]. So both products read blocks in sequence, and no step
packs anything. The padding of weights and deltas stays 0; what activations leave in their padding reaches no parameter.

The sizes of all this for one network stand in `fastmlp.kernels.tables`.
"""

from __future__ import annotations

PANEL = 16
BLOCK = PANEL * PANEL
MIN_WEIGHT_SUM = 2.0**-1022  # a smaller sum of weights counts as 0: its reciprocal is infinite

# A row of the table of step constants: the optimizer's numbers for one step, the decay of weights last. A step has
# several rows if layers have numbers of their own.
CONSTANT_COUNT = 7
DECAY = CONSTANT_COUNT - 1  # place among the constants: what weights are multiplied by, and biases are not
STEP_ROW = 8  # elements from one row to the next

# A thread's scratch: a block of zeros, the optimizer's constants for weights and for biases, then the workspace.
ZEROS, STEP_CONSTANTS, BIAS_CONSTANTS, WORK = 0, BLOCK, BLOCK + PANEL, BLOCK + 2 * PANEL

# The workspace of a loss: vectors of 16 lanes, then matrices [unit][16 lanes].
LOSS_LANES, LOSS_MATRICES = 4, 3


def loss_workspace(panels: int) -> int:
    """Return the elements of the workspace of a loss whose outputs and targets have so many panels at most."""
    return LOSS_LANES * PANEL + LOSS_MATRICES * (panels + 1) * BLOCK


# What is counted for a network, an int64 word each: how often the weights have changed; that number when they and the
# slots were last found finite; how often the layers at rest have changed; how often the optimizer's constants have.
VERSION, FINITE_VERSION, RESTS, CONSTANTS = range(4)

# The int64 words by which the workers of a team synchronize: the number of the current phase, the number of completed
# shares, and for each share the last phase in which it was claimed. No two of them lie in one pair of cache lines (128
# bytes), since a processor may fetch lines in pairs.
TEAM_LINE = 16  # int64 words
TEAM_PHASE, TEAM_DONE, TEAM_CLAIMS = 0, TEAM_LINE, 2 * TEAM_LINE
