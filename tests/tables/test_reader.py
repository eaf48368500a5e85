"""A CSV file is read as it is: encodings, separators, quotes, line numbers; and what is no table is refused by line."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from table_files import write

from fastmlp.tables import TableError
from fastmlp.tables.reader import BLOCK, Reader


def read(path: str, separator: str | None = None) -> tuple[tuple[str, ...], list[tuple[str, ...]], list[int]]:
    """Names, rows and the line of each row."""
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


def test_empty_lines_are_no_rows_but_count_as_lines(tmp_path: Path) -> None:
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


def test_a_separator_can_be_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "a:b,c\n1:2,3\n")
    assert read(path, ":")[:2] == (("a", "b,c"), [("1", "2,3")])


def test_one_column_is_a_table(tmp_path: Path) -> None:
    assert read(write(tmp_path / "a.csv", "a\n1\n2\n"))[1] == [("1",), ("2",)]


def test_many_blocks_are_all_the_rows_in_order(tmp_path: Path) -> None:
    count = 2 * BLOCK + 7
    path = write(tmp_path / "a.csv", "a,b\n" + "".join(f'{i},"x\ny"\n' for i in range(count)))
    _, rows, numbers = read(path)
    assert [row[0] for row in rows] == [str(i) for i in range(count)]
    assert numbers == [2 + 2 * i for i in range(count)]


@pytest.mark.parametrize("before", [BLOCK - 1, BLOCK, 2 * BLOCK - 2])
def test_a_quoted_field_may_go_on_in_the_next_block(tmp_path: Path, before: int) -> None:
    plain = [(str(i), "x") for i in range(before)]
    text = "".join(f"{a},{b}\n" for a, b in plain)
    path = write(tmp_path / "a.csv", f'a,b\n{text}"one\ntwo\n\nfour",y\n\n5,z\n{text}')
    _, rows, numbers = read(path)
    assert rows == [*plain, ("one\ntwo\n\nfour", "y"), ("5", "z"), *plain]
    assert numbers == [*range(2, before + 3), *range(before + 7, 2 * before + 8)]


GOOD = "".join(f"{i},{i}\n" for i in range(2 * BLOCK))
AFTER = 2 * BLOCK + 2  # the line behind the header and those rows


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "{file}: is empty; give a file with a header and rows"),
        ("\ufeff \n\n", "{file}: is empty; give a file with a header and rows"),
        ("a,b\n", "{file}: found a header but no rows below it; give a file with data"),
        ("a,b\n\n\n", "{file}: found a header but no rows below it; give a file with data"),
        ("a,,c\n1,2,3\n", "{file}:1: column 2 of 3 has no name; write one into the header"),
        (
            ",b,c\n1,2,3\n",
            "{file}:1: column 1 of 3 has no name; if it is an index that pandas wrote, write the file with "
            "index=False; else write a name into the header",
        ),
        (
            "a,b,\n1,2,\n",
            "{file}:1: column 3 of 3 has no name; remove the separators at the ends of the lines, or write a name into "
            "the header",
        ),
        (
            "sep=;\na;b\n1;2\n",
            "{file}:1: column 2 of 2 has no name; remove that first line, which is for spreadsheets alone",
        ),
        ("\na,b, a\n1,2,3\n", "{file}:2: columns 1 and 3 are both named 'a'; rename one"),
        (
            "1,2.5\n1,2\n",
            "{file}:1: found numbers where the header should be: '1', '2.5'; write a first line with the "
            "columns' names",
        ),
        (
            f"a,b\n{GOOD}1\n",
            f"{{file}}:{AFTER}: found 1 field where the header has 2 (separator: comma); fill the row up, or "
            "remove it, "
            "or name another separator with --separator",
        ),
        (
            f"a,b\n{GOOD}1,2,3\n",
            f"{{file}}:{AFTER}: found 3 fields where the header has 2 (separator: comma); quote texts that hold the "
            "separator, or name another separator with --separator",
        ),
        (
            f'a,b\n{GOOD}1,"x\n2,y\n',
            f'{{file}}:{AFTER}: a quote (") opens here and is never closed; close it, or double the quotes within '
            "a quoted text",
        ),
        (
            f'a,b\n{GOOD}1,"x\n' + "2,y\n" * 50000,
            f'{{file}}:{AFTER}: found a field of more than 131,072 characters; most likely a quote (") opens here and '
            "is never closed: close it, or double the quotes within a quoted text",
        ),
        (
            f'a,b\n{GOOD}1,"x" y\n',
            f"{{file}}:{AFTER}: found text behind a closing quote; double the quotes within a quoted text",
        ),
        (
            f"a,b\n{GOOD}1,Köln\n".encode("latin-1"),
            f"{{file}}:{AFTER}: found byte 0xf6, which is not UTF-8; if the file is Latin-1, turn it into UTF-8: "
            "iconv -f LATIN1 -t UTF-8 a.csv > new.csv",
        ),
        (
            f"a,b\n{GOOD}1,x\0y\n",
            f"{{file}}:{AFTER}: found a NUL byte: this is a binary file; give a CSV file of text",
        ),
        (
            b"a,b\r1,x\r\n2,\xf6\r",
            "{file}:3: found byte 0xf6, which is not UTF-8; if the file is Latin-1, turn it into UTF-8: "
            "iconv -f LATIN1 -t UTF-8 a.csv > new.csv",
        ),
        (b"a,b\r1,x\r2,\0\r", "{file}:3: found a NUL byte: this is a binary file; give a CSV file of text"),
        (b"\xef", "{file}: is empty; give a file with a header and rows"),
        (b"\xef\xbb", "{file}: is empty; give a file with a header and rows"),
        (
            "a,b\n1,2\n".encode("utf-16"),
            "{file}: is UTF-16 text and no CSV in UTF-8; turn it into UTF-8: iconv -f UTF-16 -t UTF-8 a.csv > new.csv",
        ),
        (
            "a,b\n1,2\n".encode("utf-32"),
            "{file}: is UTF-32 text and no CSV in UTF-8; turn it into UTF-8: iconv -f UTF-32 -t UTF-8 a.csv > new.csv",
        ),
        (
            b"PK\x03\x04rest",
            "{file}: is a zip archive or a workbook and no CSV in UTF-8; unzip it, or save the sheet as CSV",
        ),
        (b"\x1f\x8b\x08rest", "{file}: is compressed by gzip and no CSV in UTF-8; gunzip it first"),
        (b"\xd0\xcf\x11\xe0", "{file}: is an old Excel workbook and no CSV in UTF-8; save the sheet as CSV"),
    ],
)
def test_what_is_no_table_is_refused_with_its_line(tmp_path: Path, content: str | bytes, message: str) -> None:
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
    monkeypatch.setattr("fastmlp.tables.reader.CELLS", 30)
    for columns, rows in [(2, 15), (10, 3), (20, 1), (40, 1)]:
        header = ",".join(f"a{i}" for i in range(columns))
        path = write(tmp_path / "a.csv", header + "\n" + ("1," * columns)[:-1] + ("\n" + ("1," * columns)[:-1]) * 44)
        assert [len(block.lines) for block in Reader(path, verbose=False).blocks()] == [rows] * (45 // rows)


@pytest.mark.parametrize("separator", ["", ",,", '"', "\n", "\r", "\0"])
def test_what_is_no_separator_is_refused(tmp_path: Path, separator: str) -> None:
    with pytest.raises(ValueError, match="separator must be one character that is no quote and ends no line, got"):
        Reader(write(tmp_path / "a.csv", "a,b\n1,2\n"), separator)


def test_a_folder_a_missing_file_and_a_pipe_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="is a folder; give a CSV file in it"):
        Reader(tmp_path)
    with pytest.raises(TableError, match=r"no\.csv: there is no such file; check the path"):
        Reader(tmp_path / "no.csv")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TableError, match="is no regular file, and it is read more than once"):
        Reader(tmp_path / "pipe")


def test_reading_shows_rows_and_the_share_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    path = write(tmp_path / "a.csv", "a,b\n" + GOOD)
    list(Reader(path, verbose=True).blocks())
    assert "reading a.csv: 1,024 rows, " in stream.getvalue()
    assert "reading a.csv: 2,048 rows, 100% of the file" in stream.getvalue()
    assert stream.getvalue().endswith("\n")


def test_reading_shows_nothing_where_nobody_watches(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    list(Reader(write(tmp_path / "a.csv", "a,b\n" + GOOD), verbose="auto").blocks())
    assert capsys.readouterr() == ("", "")
