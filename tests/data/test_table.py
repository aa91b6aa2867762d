"""read_csv: Kaggle's form in its usual spellings, the types chosen, and for a bad row its number and what is wrong."""

import gzip
import io
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fastnn.data import read_csv, read_dataset, read_features, read_idx, read_npz
from fastnn.data.source import Array
from fastnn.data.table import LABEL_NAMES

HEADER = "label,pixel0,pixel1\n"
ROWS = "7,0,255\n2,128,1\n"
X = np.array([[0, 255], [128, 1]], np.uint8)
Y = np.array([7, 2])


def write(tmp_path: Path, text: str, encoding: str = "utf-8") -> Path:
    (tmp_path / "table.csv").write_bytes(text.encode(encoding))
    return tmp_path / "table.csv"


SPELLINGS = {
    "header": HEADER + ROWS,
    "no header": ROWS,
    "no last newline": ROWS.rstrip(),
    "windows": (HEADER + ROWS).replace("\n", "\r\n"),
    "old mac": (HEADER + ROWS).replace("\n", "\r"),
    "blank lines": "\n" + HEADER + "\n  \n" + ROWS.replace("\n", "\n\n"),
    "byte order mark": "\ufeff" + ROWS,
    "spaces": ROWS.replace(",", " , "),
    "quotes": '"label","a, b","pixel1"\n' + '"7","0","255"\n"2","128","1"\n',
    "signs": ROWS.replace("7", "+7"),
    "numbered columns": "label,0,1\n" + ROWS,
    "accents": "label,größe,höhe\n" + ROWS,
    "hash": "#label,x,y\n" + ROWS,
}


@pytest.mark.parametrize("text", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_spellings_of_one_table(tmp_path: Path, text: str) -> None:
    features, labels = read_csv(write(tmp_path, text))
    np.testing.assert_array_equal(features, X)
    np.testing.assert_array_equal(labels, Y)
    assert features.dtype == np.uint8
    assert labels.dtype == np.int64
    assert features.flags.c_contiguous


def test_a_header_need_not_be_utf_8(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_csv(write(tmp_path, SPELLINGS["accents"], "latin-1"))[0], X)


def test_one_row_and_one_feature(tmp_path: Path) -> None:
    features, labels = read_csv(write(tmp_path, "3,5\n"))
    assert (features.tolist(), labels.tolist()) == ([[5]], [3])


@pytest.mark.parametrize("cell", ["256", "-1", "0.5", "3.0", "1e2", "nan", "inf", "-inf", "NaN"])
@pytest.mark.parametrize("row", [0, 1, 2])
def test_one_value_that_is_no_uint8_makes_all_features_float64(tmp_path: Path, cell: str, row: int) -> None:
    rows = ["1,2,3", "4,5,6", "7,8,9"]
    rows[row] = f"1,2,{cell}"
    features, labels = read_csv(write(tmp_path, "\n".join(rows)))
    assert features.dtype == np.float64
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(features[row], [2, float(cell)])


LABELS = [("300", np.int64, 300), ("-1", np.int64, -1), ("3.0", np.int64, 3), ("2.5", np.float64, 2.5)]


@pytest.mark.parametrize(("cell", "dtype", "expected"), [*LABELS, ("nan", np.float64, np.nan)])
def test_labels_do_not_change_the_type_of_the_features(tmp_path: Path, cell: str, dtype: type, expected: float) -> None:
    features, labels = read_csv(write(tmp_path, f"{cell},1,2\n"))
    assert features.dtype == np.uint8
    assert labels.dtype == dtype
    np.testing.assert_array_equal(labels, [expected])


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.float16, np.float32, "float64", "u2"])
def test_a_chosen_type(tmp_path: Path, dtype: type | str) -> None:
    features, labels = read_csv(write(tmp_path, HEADER + ROWS), dtype)
    assert features.dtype == np.dtype(dtype)
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(features, X)


@pytest.mark.parametrize("dtype", [bool, str, object, complex, "M8[s]"])
def test_a_type_that_is_no_number_is_refused(tmp_path: Path, dtype: type | str) -> None:
    with pytest.raises(TypeError, match="expected an integer or floating type"):
        read_csv(write(tmp_path, ROWS), dtype)


tables = hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=17)) | hnp.arrays(
    np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=17)
)


@given(table=tables, header=st.booleans(), zipped=st.booleans())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_round_trip(tmp_path: Path, table: Array, header: bool, zipped: bool) -> None:
    text = "".join(",".join(str(v) for v in row) + "\n" for row in table.tolist())
    data = (("label" + ",x" * (table.shape[1] - 1) + "\n") * header + text).encode()
    (tmp_path / "t").write_bytes(gzip.compress(data) if zipped else data)
    features, labels = read_csv(tmp_path / "t")
    np.testing.assert_array_equal(features, table[:, 1:])
    np.testing.assert_array_equal(labels, table[:, 0])
    if table.dtype == np.uint8:
        assert features.dtype == np.uint8


FAULTS = {
    "empty": ("", " is empty; expected rows of a label and its features"),
    "blank": ("\n \n\n", " is empty; expected rows of a label and its features"),
    "header only": (HEADER, " holds one line that is no row of numbers; expected rows after a header"),
    "no features": ("1\n2\n", ", row 1 has 1 field; expected a label and at least one feature between commas"),
    "semicolons": ("label;x\n1;2\n", ", row 1 has 1 field; expected a label and at least one feature between commas"),
    "short row": (HEADER + ROWS + "1,2\n" + ROWS, ", row 4 has 2 fields; expected 3"),
    "long row": (ROWS + "1,2,3,4\n", ", row 3 has 4 fields; expected 3"),
    "last comma": (HEADER + "1,2,3,\n", ", row 2 has 4 fields; expected 3"),
    "short first row": ("1,2\n" + ROWS, ", row 2 has 3 fields; expected 2"),
    "after blank lines": ("\n\n" + ROWS + "\n1,x,3\n", ", row 6, column 2 holds 'x'; expected a number"),
    "word": (HEADER + ROWS + "1,2,cat\n", ", row 4, column 3 holds 'cat'; expected a number"),
    "label": (ROWS + "cat,2,3\n", ", row 3, column 1 holds 'cat'; expected a number"),
    "empty cell": (ROWS + "1,,3\n", ", row 3, column 2 holds ''; expected a number"),
    "first empty cell": (",0,1\n" + ROWS, ", row 1, column 1 holds ''; expected a number"),
    "two headers": (HEADER + HEADER + ROWS, ", row 2, column 1 holds 'label'; expected a number"),
    "underscore": (ROWS + "1,1_0,3\n", ", row 3, column 2 holds '1_0'; expected a number"),
    "hexadecimal": (ROWS + "1,0x10,3\n", ", row 3, column 2 holds '0x10'; expected a number"),
    "comma in quotes": (ROWS + '1,"2,5",3\n', ", row 3, column 2 holds '2,5'; expected a number"),
    "open quote": (ROWS + '1,"2,3\n' + ROWS, ", row 3 has 2 fields; expected 3"),
    "long cell": (ROWS + f"1,2,{'x' * 1000}\n", f", row 3, column 3 holds '{'x' * 40}'; expected a number"),
    "bad after float": ("1,0.5,2\n1,0.5,x\n", ", row 2, column 3 holds 'x'; expected a number"),
    "zero byte": (ROWS + "1,\0,3\n", ", row 3, column 2 holds '\\x00'; expected a number"),
}


@pytest.mark.parametrize(("text", "message"), FAULTS.values(), ids=FAULTS.keys())
def test_faults_are_one_sentence_naming_file_and_row(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ValueError, match="expected") as caught:
        read_csv(path)
    assert str(caught.value) == f"{path}{message}."


@pytest.mark.parametrize("name", LABEL_NAMES)
def test_a_label_in_another_column_is_refused(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, f"x0,x1,{name.upper()}\n1,2,3\n")
    with pytest.raises(ValueError, match=f"has '{name}' in column 3; expected the label in column 1"):
        read_csv(path)


@pytest.mark.parametrize("cell", ["256", "-1", "0.5", "3.0", "nan"])
def test_a_cell_that_does_not_fit_the_chosen_type(tmp_path: Path, cell: str) -> None:
    with pytest.raises(ValueError, match=f"row 3, column 2 holds '{cell}'; expected a number of type uint8"):
        read_csv(write(tmp_path, f"{ROWS}1,{cell},3\n"), np.uint8)


def test_truncated_gzip_at_every_byte(tmp_path: Path) -> None:
    whole = gzip.compress((HEADER + ROWS * 5).encode())
    for end in range(len(whole)):
        (tmp_path / "cut.csv.gz").write_bytes(whole[:end])
        with pytest.raises(ValueError, match=r"cut\.csv\.gz.*; expected"):
            read_csv(tmp_path / "cut.csv.gz")


def test_many_rows_read_as_numpy_reads_them(tmp_path: Path) -> None:
    table = np.random.default_rng(0).integers(0, 256, (2000, 101), np.uint8)
    buffer = io.BytesIO()
    np.savetxt(buffer, table, "%d", ",")
    (tmp_path / "many.csv").write_bytes(buffer.getvalue())
    features, labels = read_csv(tmp_path / "many.csv")
    np.testing.assert_array_equal(features, table[:, 1:])
    np.testing.assert_array_equal(labels, table[:, 0])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent"):
        read_csv(tmp_path / "absent.csv")


@pytest.mark.parametrize(("columns", "rows"), [(9, 4), (10, 3), (301, 3)])
def test_counted_columns_are_a_header(tmp_path: Path, columns: int, rows: int) -> None:
    """As pandas writes columns without names; of fewer than ten it may be a row."""
    lines = [range(columns), *([1] * columns for _ in range(3))]
    (tmp_path / "t.csv").write_text("\n".join(",".join(map(str, line)) for line in lines))
    X, y = read_csv(tmp_path / "t.csv")
    assert X.shape == (rows, columns - 1)
    assert X.dtype == np.uint8
    assert len(y) == rows


def test_a_first_row_with_one_bad_cell_is_no_header(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r", row 1, column 3 holds '\?'; expected a number"):
        read_csv(write(tmp_path, "1,5,?\n0,3,4\n"))
    assert len(read_csv(write(tmp_path, "150,4,setosa,versicolor,virginica\n1,2,3,4,5\n"))[0]) == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_pipes_are_refused(tmp_path: Path) -> None:
    """Each time one is opened some of its rows are lost."""
    os.mkfifo(tmp_path / "pipe.csv")
    for read in (read_csv, read_dataset, read_idx, read_npz, lambda path: read_features(path, 2)):
        with pytest.raises(ValueError, match=r"pipe\.csv is a pipe or a device; expected a file"):
            read(tmp_path / "pipe.csv")  # type: ignore[operator]
