"""Tables: from a user's CSV file to a trained network, and back to predictions in the file's own terms."""

from fastmlp.tables.errors import TableError
from fastmlp.tables.model import TabularModel
from fastmlp.tables.preparing import TrainingTable, prepare
from fastmlp.tables.reader import Reader
from fastmlp.tables.sampling import sample
from fastmlp.tables.schema import Schema

__all__ = ["Reader", "Schema", "TableError", "TabularModel", "TrainingTable", "prepare", "sample"]
