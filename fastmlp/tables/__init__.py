"""Train a network on a CSV file, and use it to predict the rows of other CSV files.

A DataFrame takes the same way: `frames` makes the texts of a CSV file of its values, and `sources` opens either. A file
passes through the modules of this package in this order:

1. `file_format` checks that a path is a text file, which `other_formats` names otherwise, and finds the character that
   separates its fields.
2. `reader` yields the rows in blocks. `csv_file` opens the file, `header` checks the names of its columns, and `faults`
   explains why a row cannot be read.
3. `values` converts the texts of a block to numbers or to category codes. `matching` decides which texts are one value.
4. `collect` reads all columns of a training file, `columns` decides whether each holds numbers or categories, and
   `column_checks` rejects columns that hold neither.
5. `targets` decides between classification and regression, `splitting` draws the validation rows and the test rows,
   `identifiers` leaves out columns that number or name the rows, and `column_statistics` computes medians, means,
   deviations and categories of the training rows.
6. `schema` holds these results. The schema is stored in the model file.
7. `encode` converts columns to the matrix that a network reads. `unseen` counts the values that a model does not know.

`preparing` runs steps 1 to 7 on a training file. `model` trains, saves and loads the network together with its schema,
and predicts other files, for which steps 4 and 5 are not needed; `target_losses` names the losses that suit a target.
`record` and `seen_rows` store how a model was trained, and on which rows. `hints` says what a training suggests.
`evaluation` computes the metrics of a model on a file, and `sampling` draws random rows from a file. `errors` defines
`TableError`, which all of them raise.
"""

from fastmlp.tables.errors import TableError, TableWarning
from fastmlp.tables.identifiers import Identifier
from fastmlp.tables.model import TabularModel
from fastmlp.tables.preparing import TrainingTable, prepare
from fastmlp.tables.reader import Reader
from fastmlp.tables.record import TrainingRecord
from fastmlp.tables.sampling import sample
from fastmlp.tables.schema import Schema

__all__ = [
    "Identifier",
    "Reader",
    "Schema",
    "TableError",
    "TableWarning",
    "TabularModel",
    "TrainingRecord",
    "TrainingTable",
    "prepare",
    "sample",
]
