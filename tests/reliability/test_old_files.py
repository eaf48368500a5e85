"""Files of an older fastmlp load for ever, and training continues to the same bits."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from model_files import as_version_1, joined, sealed, split
from old_files import MODELS, best_facts, facts, table_facts

from fastmlp._io import checkpoint, model_file

# Lines are added, with what `PYTHONPATH=tests python tests/reliability/old_files.py` prints, and never changed.
KEPT = {
    "0.1.0/expected.json": "2290de7e7caf6993628bf4c868bcac2ece75e3ed75860ab361db6f81bceab5b9",
    "0.1.0/table.safetensors": "2877fc57d146ec737eb88c1946b63b56f9e6b78411a32fb567a791bc3cdfe45d",
    "0.1.0/within_an_epoch.safetensors": "7f792672011430fdcebd37dd9cb33d291edd1dc2c2fa41cb1fd39727df6810e9",
    "0.1.0/without_optimizer.safetensors": "55950a0c9e31348eb67ec6a1c87be3aef170554a0adc39e8579f8938c42ad14f",
    "format-2/best.safetensors": "e469bbb4e99b7e8dc5dbe758de748db6e56c166851f85245cc50d944da24eea1",
    "format-2/expected.json": "26702df15fe188f1744ea31f38796a11a7b1b7e62f11d26a26bb3db6c0b16cfb",
    "format-2/table.safetensors": "9319c70d530da0d36ca162a3605432bb1a7490d5f5088441bbaabc1b2858cc35",
    "format-2/within_an_epoch.safetensors": "3cc3f57b8ca53c371f3644cbd81b15d0d35f0ff65c2523122064c7b657df2eaa",
    "format-2/without_optimizer.safetensors": "c95390dfb50facf2fc5338ac593cadc8e56412d867e311dd0bbd7d314f3df779",
    "schema-2/expected.json": "5f2e00466fd4e112f6b9f02112ee1081273bac29127de886eb7c7eef31a94ab6",
    "schema-2/names.safetensors": "db43dde58095dbe238442b62408e5e6a3daf6af8ae411ad913b5fdff1cea0b55",
    "schema-2/table.safetensors": "8ffd0b468f67ed60e5f1cbc6e5177bdf5cd695d853b8d403aa0aa42f900be38e",
}
MODEL_NAMES = [name for name in KEPT if name.endswith(".safetensors")]


def test_the_old_files_are_those_that_were_written() -> None:
    found = {path.relative_to(MODELS).as_posix(): path for path in MODELS.glob("*/*")}
    assert {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in found.items()} == KEPT


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_an_old_file_predicts_and_trains_on_to_the_bits_it_did(name: str, tmp_path: Path, tried) -> None:
    path = MODELS / name
    expected = json.loads((path.parent / "expected.json").read_text())[path.name]
    of_table, best = expected.pop("table", None), expected.pop("best", None)
    assert facts(path) == expected
    if of_table:
        assert table_facts(path, tmp_path) == of_table
    assert best_facts(path) == best
    tried("a file of an older fastmlp loaded, its predictions and one more epoch compared bit by bit", 1)


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_an_old_file_written_anew_in_todays_format_says_the_same(name: str, tmp_path: Path) -> None:
    path, new = MODELS / name, tmp_path / "new.safetensors"
    checkpoint.write(new, checkpoint.read(path))
    assert model_file.read(new).version == model_file.VERSION
    assert facts(new) == facts(path)
    if not name.startswith("0.1.0/"):
        assert new.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", [name for name in MODEL_NAMES if name.startswith("0.1.0/")])
def test_the_tests_write_version_1_as_it_was_written(name: str, tmp_path: Path) -> None:
    new = tmp_path / "new.safetensors"
    checkpoint.write(new, checkpoint.read(MODELS / name))
    header, data = split((MODELS / name).read_bytes())
    architecture = json.loads(header["__metadata__"]["architecture"])
    if architecture["optimizer"]["name"] == "adam":
        architecture["optimizer"]["epsilon_hat"] = False  # a later field
    header["__metadata__"]["architecture"] = json.dumps(architecture)
    assert as_version_1(new.read_bytes()) == sealed(joined(header, data))
