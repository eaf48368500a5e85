"""From the user's arrays to checked samples, and from samples to the batches that the kernels read.

This package may import `_runtime`, `kernels` and the specifications of a network (`architecture`, `losses` ...). It
does not import the engine: a feed is given the record of a plan and the state of training, both `ctypes` records of
`fastmlp.kernels.tables`, and writes into the plan's record where the rows of the next steps lie.

X goes from `Network.fit` to a kernel in this order:

1. `training_data` checks all arguments about data in one call, and selects the validation samples.
2. `names` learns the names of the columns of a frame and of labels that are strings. `inputs` checks X, `targets`
   checks y and `weights` checks the weights of rows and classes, by the functions of `arrays` and `frames`. `samples`
   holds the three together; nothing large has been copied so far.
3. `order` splits the rows into those that train and those that validate, and shuffles the order of each epoch.
4. `array_feed`, or `chunk_feed` if X gives chunks, provides the rows of the next steps, as a `batch_source`.
5. `staging` writes the addresses of the user's arrays into the plan's record if kernels can read them in place. Else it
   copies the rows of the next steps into a buffer of about 16 MB, or of one batch if that is larger.

Predictions and evaluations go the same way without 3 and 4: `fastmlp._engine.inference` calls `staging` for each piece.
"""
