import polars as pl
import pytest

from finelens.data.sources.table import find_table, read_table
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
    assert manifest.group_origin == 'column "group" of table.csv'
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
    write(tmp_path, "", ["1.mp4"])
    rows = {
        "path": [str(tmp_path / "1.mp4")] * 3,
        "labels": [["a", None], [], None],
        "start_s": [0.0, 1.5, None],
        "end_s": [1.5, None, None],
    }
    pl.DataFrame(rows).write_parquet(tmp_path / "t.parquet")
    manifest = read_table(tmp_path / "t.parquet", classes=["a", "b"])
    assert manifest.ids == ["1.mp4#0.0-1.5", "1.mp4#1.5-", "1.mp4"]
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
        ("path,label,end\n1.jpg,a,2\n2.jpg,b,\n", '"1.jpg" has start_s or end_s, and is no video'),
        ("path,label,start_s\n1.jpg,a,now\n2.jpg,b,1\n", 'start_s of row 1 is "now"'),
        ("path,label\n1.jpg,a,b,c\n", "cannot be read"),
    ],
)
def test_bad_tables_are_one_clear_error(tmp_path, text, message):
    with pytest.raises(DataError, match=message) as caught:
        read_table(write(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_ranges_of_one_video_are_clips_of_one_group(tmp_path):
    text = "path,label,start,end\na.avi,x,0,2.5\na.avi,y,2.5,4\nb.avi,x,,\n"
    manifest = read_table(write(tmp_path, text, ["a.avi", "b.avi"]))
    assert manifest.ids == ["a.avi#0.0-2.5", "a.avi#2.5-4.0", "b.avi"]
    assert manifest.paths[:2] == [str(tmp_path / "a.avi")] * 2
    assert manifest.table["end_s"].to_list() == [2.5, 4.0, None]
    assert manifest.table["group"].to_list() == ["a.avi", "a.avi", None]
    assert manifest.group_origin == "the files that several clips are cut from"


def test_a_given_group_is_kept_beside_ranges(tmp_path):
    text = "path,label,start_s,end_s,group\na.avi,x,0,2,7\na.avi,y,2,4,\n"
    manifest = read_table(write(tmp_path, text, ["a.avi"]))
    assert manifest.table["group"].to_list() == ["7", "a.avi"]
    assert manifest.group_origin == (
        'column "group" of table.csv and the files that several clips are cut from'
    )


@pytest.mark.parametrize("span", ["-1,2", "3,3", "4,2", ",0"])
def test_empty_ranges_are_refused(tmp_path, span):
    text = f"path,label,start_s,end_s\n1.avi,a,{span}\n2.avi,b,,\n"
    with pytest.raises(DataError, match=r'"1.avi" starts at .*; give 0 <= start_s < end_s'):
        read_table(write(tmp_path, text, ["1.avi", "2.avi"]))


def test_folders_of_frames_and_elements_of_arrays_are_clips(tmp_path):
    text = "path,label\nf/1/,a\nf/2#1-2,b\nf/2#3-4,a\nx.npy#4,b\n"
    manifest = read_table(write(tmp_path, text, ["f/1/1.png", "f/2/1.png", "x.npy"]))
    assert manifest.media == "clips"
    assert manifest.ids == ["f/1", "f/2#1-2", "f/2#3-4", "x.npy#4"]
    base = str(tmp_path)
    assert manifest.paths == [
        f"{base}/f/1/", f"{base}/f/2#1-2", f"{base}/f/2#3-4", f"{base}/x.npy#4"
    ]  # fmt: skip
    assert manifest.table["group"].to_list() == [None, "f/2", "f/2", None]
    with pytest.raises(DataError, match=r'"f/1" has start_s or end_s, and is no video'):
        read_table(write(tmp_path, "path,label,end_s\nf/1,a,2\nf/2,b,\n", []))
    with pytest.raises(DataError, match=r'y.npy#4" does not exist'):
        read_table(write(tmp_path, "path,label\nf/1,a\ny.npy#4,b\n", []))


def test_foreign_file_and_missing_class_column_are_errors(tmp_path):
    (tmp_path / "t.parquet").write_bytes(b"no parquet")
    with pytest.raises(DataError, match="cannot be read"):
        read_table(tmp_path / "t.parquet")
    path = write(tmp_path, "path,dog,cat\n1.jpg,1,0\n")
    with pytest.raises(DataError, match='none for class "cta"; did you mean "cat"'):
        read_table(path, classes=["dog", "cta"])


class Told:
    """Progress that keeps what was said."""

    def __init__(self):
        self.lines = []

    def say(self, line):
        self.lines.append(line)


def test_a_column_that_is_nearly_a_known_one_is_told_and_is_no_class(tmp_path):
    told = Told()
    path = write(tmp_path, "path,cat,dog, Group,Start S\n1.jpg,1,0,7,1\n2.jpg,0,1,8,2\n")
    manifest = read_table(path, progress=told)
    assert told.lines == [
        'note: column " Group" of table.csv is not used; did you mean "group"?',
        'note: column "Start S" of table.csv is not used; did you mean "start_s"?',
    ]
    assert manifest.task.classes == ("cat", "dog")
    assert manifest.groups == [None, None]
    # where the known column is there as well, the other is a further one
    told = Told()
    read_table(write(tmp_path, "path,label,group,Group\n1.jpg,a,7,x\n2.jpg,b,8,y\n"), progress=told)
    assert told.lines == []


def test_semicolons_separate_columns_where_the_first_line_has_no_comma(tmp_path):
    path = write(tmp_path, 'path;labels;group\n1.jpg;"a,b";g,1\n2.jpg;b;g2\n')
    manifest = read_table(path)
    assert manifest.table["labels"].to_list() == [["a", "b"], ["b"]]
    assert manifest.groups == ["g,1", "g2"]
    index = write(tmp_path, "path;label\n1.jpg;a\n2.jpg;b\n", name="index.csv")
    assert find_table(tmp_path) == index


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("Path,label", 'has no column "path"; it has Path, label; call column "Path" so'),
        ("path,Labels", 'has no labels: give a column "labels", .* or call column "Labels" so'),
        ("path,group", "has no labels: .*; or a column of 0 and 1 for each class"),
    ],
)
def test_a_missing_column_is_told_with_the_one_that_may_be_meant(tmp_path, header, message):
    with pytest.raises(DataError, match=message):
        read_table(write(tmp_path, f"{header}\n1.jpg,a\n2.jpg,b\n"))


def test_a_table_without_labels_is_read_where_the_classes_are_known(tmp_path):
    manifest = read_table(write(tmp_path, "path,group\n1.jpg,a\n"), classes=("cat", "dog"))
    assert manifest.table["labels"].to_list() == [None]
