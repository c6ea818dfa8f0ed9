import polars as pl
import pytest

from finelens.data.sources.table import read_table
from finelens.errors import DataError
from finelens.task import TaskKind


def write(root, text, pictures=("1.jpg", "2.jpg", "3.jpg"), name="table.csv"):
    for picture in pictures:
        (root / picture).parent.mkdir(parents=True, exist_ok=True)
        (root / picture).write_bytes(b"")
    (root / name).write_text(text, encoding="utf-8")
    return root / name


def test_labels_splits_and_groups_are_read_as_text(tmp_path):
    text = (
        "path,labels,split,group,note\n"
        "pics/bär 1.jpg, cat|dog |cat|,Train,007,x\n"
        "./pics//2.jpg,,Validation,,y\n"
        '"pics/a,b.jpg",dog,TEST,8,z\n'
    )
    path = write(tmp_path, text, ["pics/bär 1.jpg", "pics/2.jpg", "pics/a,b.jpg"])
    manifest = read_table(path)
    assert manifest.ids == ["pics/bär 1.jpg", "pics/2.jpg", "pics/a,b.jpg"]
    assert manifest.paths[1] == str(tmp_path / "pics/2.jpg")
    assert manifest.table["labels"].to_list() == [["cat", "dog"], [], ["dog"]]
    assert manifest.table["split"].to_list() == ["train", "val", "test"]
    assert manifest.table["group"].to_list() == ["007", None, "8"]
    assert manifest.task.kind is TaskKind.MULTI_LABEL


@pytest.mark.parametrize(
    ("cells", "separator", "labels"),
    [
        (["a|b;c", "d", "a"], "auto", [["a", "b;c"], ["d"], ["a"]]),
        (["a;b", "d", "a"], "auto", [["a", "b"], ["d"], ["a"]]),
        (['"a,b"', "d", "a"], "auto", [["a", "b"], ["d"], ["a"]]),
        (['"a,b"', "d", "a"], "", [["a,b"], ["d"], ["a"]]),
        (["a/b", "d", "a|b"], "/", [["a", "b"], ["d"], ["a|b"]]),
        (["0", "1", "01"], "auto", [["0"], ["1"], ["01"]]),
    ],
)
def test_label_separator(tmp_path, cells, separator, labels):
    lines = [f"{n}.jpg,{cell}" for n, cell in enumerate(cells, 1)]
    path = write(tmp_path, "\n".join(["path,label", *lines]))
    manifest = read_table(path, label_separator=separator)
    assert manifest.table["labels"].to_list() == labels


def test_columns_of_zeros_and_ones_are_classes_and_empty_cells_are_unknown(tmp_path):
    path = write(tmp_path, "path,dog,cat,split\n1.jpg,1,0,train\n2.jpg,True,,val\n3.jpg,,,test\n")
    manifest = read_table(path)
    assert manifest.task.classes == ("cat", "dog")
    assert manifest.table["labels"].to_list() == [["dog"], ["dog"], None]
    assert manifest.table["ignored"].to_list() == [[], ["cat"], []]


def test_classes_choose_the_columns(tmp_path):
    path = write(tmp_path, "path,width,dog,cat\n1.jpg,640,1,0\n2.jpg,320,0,0\n")
    manifest = read_table(path, classes=["dog", "cat"])
    assert manifest.task.classes == ("dog", "cat")
    assert manifest.table["labels"].to_list() == [["dog"], []]


def test_table_without_labels_is_unlabelled(tmp_path):
    path = write(tmp_path, "path,split\n1.jpg,test\n")
    assert read_table(path, classes=["a", "b"]).table["labels"].to_list() == [None]


def test_parquet_lists_absolute_paths_and_spans(tmp_path):
    write(tmp_path, "", ["1.jpg"])
    rows = {
        "path": [str(tmp_path / "1.jpg")] * 3,
        "labels": [["a", None], [], None],
        "start_s": [0.0, 1.5, None],
        "end_s": [1.5, None, None],
    }
    pl.DataFrame(rows).write_parquet(tmp_path / "t.parquet")
    manifest = read_table(tmp_path / "t.parquet", classes=["a", "b"])
    assert manifest.ids == ["1.jpg#0.0-1.5", "1.jpg#1.5-", "1.jpg"]
    assert manifest.table["labels"].to_list() == [["a"], [], None]


def test_files_outside_the_table_folder_keep_their_whole_path_as_id(tmp_path):
    (tmp_path / "tables").mkdir()
    path = write(tmp_path / "tables", f"path,label\n{tmp_path}/1.jpg,a\n../2.jpg,b\n", [])
    for name in ("1.jpg", "2.jpg"):
        (tmp_path / name).write_bytes(b"")
    assert read_table(path).ids == [f"{tmp_path}/1.jpg", "../2.jpg"]


def test_missing_files_are_counted_and_the_first_is_named(tmp_path):
    path = write(tmp_path, "path,label\n1.jpg,a\nno/9.jpg,b\n8.jpg,b\n")
    with pytest.raises(DataError, match=r'file ".*no/9.jpg" does not exist \(2 of 3 missing\)'):
        read_table(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("path,label\n", "holds no row"),
        ("file,class\n1.jpg,a\n", 'no column "path"; it has file, class'),
        ("path,dog,cat\n1.jpg,2,0\n", 'column "dog" holds "2".*0 or 1'),
        ("path,label\n,a\n2.jpg,b\n", "row 1 has no path"),
        ("path,label,split\n1.jpg,a,tets\n2.jpg,b,train\n", '"tets" of "1.jpg" is unknown'),
        ("path,label\n1.jpg,a\n./1.jpg,a\n2.jpg,b\n", '"1.jpg" is listed more than once'),
        ("path,label\n1.jpg,a\n1.jpg,b\n", 'contradictory labels: "1.jpg"'),
        ("path,label,start_s\n1.jpg,a,now\n2.jpg,b,1\n", 'start_s of row 1 is "now"'),
        ("path,label\n1.jpg,a,b,c\n", "cannot be read"),
    ],
)
def test_bad_tables_are_one_clear_error(tmp_path, text, message):
    with pytest.raises(DataError, match=message) as caught:
        read_table(write(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_foreign_file_and_missing_class_column_are_errors(tmp_path):
    (tmp_path / "t.parquet").write_bytes(b"no parquet")
    with pytest.raises(DataError, match="cannot be read"):
        read_table(tmp_path / "t.parquet")
    path = write(tmp_path, "path,dog,cat\n1.jpg,1,0\n")
    with pytest.raises(DataError, match='none for class "cta"; did you mean "cat"'):
        read_table(path, classes=["dog", "cta"])
