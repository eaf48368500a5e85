"""Reading CSV files: encodings, separators, quotes and line numbers, and the errors for files that are not tables."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from table_files import write

from fastmlp.tables import TableError
from fastmlp.tables.csv_file import NamedFile
from fastmlp.tables.reader import BLOCK_ROWS, Reader


def read(path: str, separator: str | None = None) -> tuple[tuple[str, ...], list[tuple[str, ...]], list[int]]:
    """Return column names, rows and the line of each row."""
    reader = Reader(path, separator, verbose=False)
    rows: list[tuple[str, ...]] = []
    numbers: list[int] = []
    for block in reader.blocks():
        rows += zip(*block.columns, strict=True)
        numbers += block.lines
    return reader.names, rows, numbers


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_line_ends_byte_order_marks_and_separators_are_found(
    tmp_path: Path, end: str, mark: bytes, separator: str
) -> None:
    text = end.join([f"größe{separator}b", f"1{separator}ä", f"2{separator}"]) + end
    path = write(tmp_path / "a.csv", mark + text.encode())
    assert read(path) == (("größe", "b"), [("1", "ä"), ("2", "")], [2, 3])


def test_the_last_line_needs_no_end(tmp_path: Path) -> None:
    assert read(write(tmp_path / "a.csv", "a,b\n1,2\n3,4"))[1] == [("1", "2"), ("3", "4")]


def test_quoted_fields_hold_separators_quotes_and_line_breaks_and_lines_are_counted(tmp_path: Path) -> None:
    text = 'a,b\n"x,1","say ""hi"""\n"two\nlines",3\n"three\r\nlong\rlines",4\n5,6\n'
    names, rows, numbers = read(write(tmp_path / "a.csv", text))
    assert names == ("a", "b")
    assert rows == [("x,1", 'say "hi"'), ("two\nlines", "3"), ("three\r\nlong\rlines", "4"), ("5", "6")]
    assert numbers == [2, 3, 5, 8]


def test_empty_lines_are_skipped_but_count_as_lines(tmp_path: Path) -> None:
    assert read(write(tmp_path / "a.csv", "\n\na,b\n\n1,2\n\n3,4\n\n")) == (
        ("a", "b"),
        [("1", "2"), ("3", "4")],
        [5, 7],
    )


def test_blanks_around_names_are_dropped(tmp_path: Path) -> None:
    assert read(write(tmp_path / "a.csv", " a , b\n1,2\n"))[0] == ("a", "b")


def test_a_separator_within_quotes_or_numbers_does_not_count(tmp_path: Path) -> None:
    assert read(write(tmp_path / "a.csv", '"a,b";c\n1,5;2,5\n3,5;4,5\n'))[0] == ("a,b", "c")
    assert read(write(tmp_path / "b.csv", "a,b\n1|2|3,4\n5|6|7,8\n"))[0] == ("a", "b")
    assert read(write(tmp_path / "c.csv", "a,b,c;d\n1;2\n3;4\n"))[0] == ("a,b,c", "d")


def test_a_separator_can_be_given(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "a:b,c\n1:2,3\n")
    assert read(path, ":")[:2] == (("a", "b,c"), [("1", "2,3")])


def test_one_column_is_a_table(tmp_path: Path) -> None:
    assert read(write(tmp_path / "a.csv", "a\n1\n2\n"))[1] == [("1",), ("2",)]


def test_many_blocks_are_all_the_rows_in_order(tmp_path: Path) -> None:
    count = 2 * BLOCK_ROWS + 7
    path = write(tmp_path / "a.csv", "a,b\n" + "".join(f'{i},"x\ny"\n' for i in range(count)))
    _, rows, numbers = read(path)
    assert [row[0] for row in rows] == [str(i) for i in range(count)]
    assert numbers == [2 + 2 * i for i in range(count)]


@pytest.mark.parametrize("before", [BLOCK_ROWS - 1, BLOCK_ROWS, 2 * BLOCK_ROWS - 2])
def test_a_quoted_field_may_continue_in_the_next_block(tmp_path: Path, before: int) -> None:
    plain = [(str(i), "x") for i in range(before)]
    text = "".join(f"{a},{b}\n" for a, b in plain)
    path = write(tmp_path / "a.csv", f'a,b\n{text}"one\ntwo\n\nfour",y\n\n5,z\n{text}')
    _, rows, numbers = read(path)
    assert rows == [*plain, ("one\ntwo\n\nfour", "y"), ("5", "z"), *plain]
    assert numbers == [*range(2, before + 3), *range(before + 7, 2 * before + 8)]


GOOD = "".join(f"{i},{i}\n" for i in range(2 * BLOCK_ROWS))
AFTER = 2 * BLOCK_ROWS + 2  # the line after the header and these rows


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "{file}: the file is empty; give a CSV file with a header and rows"),
        ("\ufeff \n\n", "{file}: the file is empty; give a CSV file with a header and rows"),
        ("a,b\n", "{file}: the file has a header but no rows; add rows of data"),
        ("a,b\n\n\n", "{file}: the file has a header but no rows; add rows of data"),
        ("a,,c\n1,2,3\n", "{file}:1: column 2 of 3 has no name; add one to the header"),
        (
            ",b,c\n1,2,3\n",
            "{file}:1: column 1 of 3 has no name; if pandas wrote it as an index, write the file with index=False; "
            "otherwise add a name to the header",
        ),
        (
            "a,b,\n1,2,\n",
            "{file}:1: column 3 of 3 has no name; remove the separators at the ends of the lines, or add a name to the "
            "header",
        ),
        (
            "sep=;\na;b\n1;2\n",
            "{file}:1: column 2 of 2 has no name; remove the first line, which only spreadsheets understand",
        ),
        ("\na,b, a\n1,2,3\n", "{file}:2: columns 1 and 3 are both named 'a'; rename one of them"),
        (
            "1,2.5\n1,2\n",
            "{file}:1: found numbers instead of column names: '1', '2.5'; add a first line with the names",
        ),
        (
            f"a,b\n{GOOD}1\n",
            f"{{file}}:{AFTER}: found 1 field, but the header has 2 (separator: comma); complete or remove the "
            "row, or give another separator with separator=...",
        ),
        (
            f"a,b\n{GOOD}1,2,3\n",
            f"{{file}}:{AFTER}: found 3 fields, but the header has 2 (separator: comma); put quotes around texts "
            "that contain the separator, or give another separator with separator=...",
        ),
        (
            f'a,b\n{GOOD}1,"x\n2,y\n',
            f'{{file}}:{AFTER}: a quote (") opens here and is never closed; close it, or double the quotes inside '
            "a quoted text",
        ),
        (
            f'a,b\n{GOOD}1,"x\n' + "2,y\n" * 50000,
            f'{{file}}:{AFTER}: found a field of more than 131,072 characters; probably a quote (") opens here and '
            "is never closed: close it, or double the quotes inside a quoted text",
        ),
        (
            f'a,b\n{GOOD}1,"x" y\n',
            f"{{file}}:{AFTER}: found text after a closing quote; double the quotes inside a quoted text",
        ),
        (
            f"a,b\n{GOOD}1,Köln\n".encode("latin-1"),
            f"{{file}}:{AFTER}: found byte 0xf6, which is not UTF-8; if the file is Latin-1, convert it: "
            "iconv -f LATIN1 -t UTF-8 a.csv > new.csv",
        ),
        (
            f"a,b\n{GOOD}1,x\0y\n",
            f"{{file}}:{AFTER}: found a NUL byte, so this is a binary file; give a CSV file of text",
        ),
        (
            b"a,b\r1,x\r\n2,\xf6\r",
            "{file}:3: found byte 0xf6, which is not UTF-8; if the file is Latin-1, convert it: "
            "iconv -f LATIN1 -t UTF-8 a.csv > new.csv",
        ),
        (b"a,b\r1,x\r2,\0\r", "{file}:3: found a NUL byte, so this is a binary file; give a CSV file of text"),
        (b"\xef", "{file}: the file is empty; give a CSV file with a header and rows"),
        (b"\xef\xbb", "{file}: the file is empty; give a CSV file with a header and rows"),
        (
            "a,b\n1,2\n".encode("utf-16"),
            "{file}: the file is UTF-16 text, not CSV in UTF-8; convert it: iconv -f UTF-16 -t UTF-8 a.csv > new.csv",
        ),
        (
            "a,b\n1,2\n".encode("utf-32"),
            "{file}: the file is UTF-32 text, not CSV in UTF-8; convert it: iconv -f UTF-32 -t UTF-8 a.csv > new.csv",
        ),
        (
            "a,b\n1,2\n".encode("utf-16-be"),
            "{file}: the file is UTF-16BE text, not CSV in UTF-8; convert it: iconv -f UTF-16BE -t UTF-8 a.csv "
            "> new.csv",
        ),
        (
            "a,b\n1,2\n".encode("utf-16-le"),
            "{file}: the file is UTF-16LE text, not CSV in UTF-8; convert it: iconv -f UTF-16LE -t UTF-8 a.csv "
            "> new.csv",
        ),
        (
            "5,5,x\n1,2,3\n",
            "{file}:1: columns 1 and 2 are both named '5'; rename one of them; or, if the first line is data, add a "
            "line with the names before it",
        ),
        ("0,1\n1,2\n", "{file}:1: found numbers instead of column names: '0', '1'; add a first line with the names"),
        (
            "0,2,1\n1,2,3\n",
            "{file}:1: found numbers instead of column names: '0', '2', '1'; add a first line with the names",
        ),
        (b"\xd0\xcf\x11\xe0", "{file}: the file is an old Excel workbook, not CSV in UTF-8; save the sheet as CSV"),
    ],
)
def test_a_file_that_is_not_a_table_is_refused_with_its_line(
    tmp_path: Path, content: str | bytes, message: str
) -> None:
    path = write(tmp_path / "a.csv", content)
    with pytest.raises(TableError) as error:
        read(path)
    assert str(error.value) == message.format(file=path)


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
@pytest.mark.parametrize("columns", [2, 20_000])
def test_the_separator_of_long_lines_and_of_long_files_is_found(tmp_path: Path, end: str, columns: int) -> None:
    row = ";".join(f"a{i}" for i in range(columns)) + end
    path = write(tmp_path / "a.csv", row + row * (200_000 // len(row) + 1))
    assert len(Reader(path, verbose=False).names) == columns


def test_a_block_of_a_wide_table_has_fewer_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastmlp.tables.reader.BLOCK_CELLS", 30)
    for columns, rows in [(2, 15), (10, 3), (20, 1), (40, 1)]:
        header = ",".join(f"a{i}" for i in range(columns))
        path = write(tmp_path / "a.csv", header + "\n" + ("1," * columns)[:-1] + ("\n" + ("1," * columns)[:-1]) * 44)
        assert [len(block.lines) for block in Reader(path, verbose=False).blocks()] == [rows] * (45 // rows)


@pytest.mark.parametrize("separator", ["", ",,", '"', "\n", "\r", "\0"])
def test_an_invalid_separator_is_refused(tmp_path: Path, separator: str) -> None:
    with pytest.raises(ValueError, match="separator must be one character, and neither a quote nor a line end, got"):
        Reader(write(tmp_path / "a.csv", "a,b\n1,2\n"), separator)


def test_a_folder_a_missing_file_and_a_pipe_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="this is a folder; give a CSV file in it"):
        Reader(tmp_path)
    with pytest.raises(TableError, match=r"no\.csv: there is no such file; check the path"):
        Reader(tmp_path / "no.csv")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TableError, match="this is not a regular file, and the data is read more than once"):
        Reader(tmp_path / "pipe")


def test_a_missing_file_leads_to_the_most_similar_name(tmp_path: Path) -> None:
    write(tmp_path / "Flats.csv", "a,b\n1,2\n")
    write(tmp_path / "other.csv", "a,b\n1,2\n")
    for name in ("flat.csv", "flats.CSV", "flats_.csv"):
        with pytest.raises(TableError) as error:
            Reader(tmp_path / name)
        assert str(error.value) == f"{tmp_path / name}: there is no such file; did you mean '{tmp_path / 'Flats.csv'}'?"
    with pytest.raises(TableError, match="there is no such file; check the path"):
        Reader(tmp_path / "no" / "flats.csv")


def test_a_file_can_have_another_name_in_messages(tmp_path: Path) -> None:
    for text, message in (
        ("", "standard input: the file is empty; give a CSV file with a header and rows"),
        (
            'a,b\n1,"x',
            'standard input:2: a quote (") opens here and is never closed; close it, or double the quotes inside',
        ),
        (b"a,b\n1,\xff\n", "standard input:2: found byte 0xff, which is not UTF-8; if the file is Latin-1, convert it"),
        ("a,b\n1\n", "standard input:2: found 1 field, but the header has 2"),
    ):
        with pytest.raises(TableError) as error:
            list(Reader(NamedFile(write(tmp_path / "a.csv", text), "standard input"), verbose=False).blocks())
        assert str(error.value).startswith(message)


def test_reading_shows_rows_and_the_share_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stderr", stream)
    path = write(tmp_path / "a.csv", "a,b\n" + GOOD)
    list(Reader(path, verbose=True).blocks())
    assert "reading a.csv: 1,024 rows, " in stream.getvalue()
    assert "reading a.csv: 2,048 rows, 100% of the file" in stream.getvalue()
    assert stream.getvalue().endswith("\n")


def test_reading_shows_nothing_without_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    list(Reader(write(tmp_path / "a.csv", "a,b\n" + GOOD), verbose="auto").blocks())
    assert capsys.readouterr() == ("", "")
