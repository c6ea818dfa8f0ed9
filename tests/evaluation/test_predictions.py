import numpy as np

from finelens.decision import Decision
from finelens.evaluation.predictions import predictions_table


def test_a_row_tells_classes_and_probabilities_or_the_error(scores_of):
    scores = scores_of([[2.0, -2.0], [np.nan, np.nan]], [[1, 0], [0, 1]], errors=[None, "broken"])
    table = predictions_table(scores, Decision(2.0, (0.5, 0.5), 0.5, "fixed"))
    probability = 1 / (1 + np.exp(-1.0))
    expected = {
        "id": ["0.jpg", "1.jpg"],
        "path": ["/data/0.jpg", "/data/1.jpg"],
        "labels": [["class-0"], None],
        "error": [None, "broken"],
        "probability.class-0": [probability, None],
        "probability.class-1": [1 - probability, None],
    }
    assert table.columns == list(expected)
    for name, values in expected.items():
        if name.startswith("probability"):
            np.testing.assert_allclose(table[name].to_list()[0], values[0])
            assert table[name][1] is None
        else:
            assert table[name].to_list() == values


def test_truth_stands_beside_the_labels_where_it_is_known(scores_of):
    nan = np.nan
    scores = scores_of([[2.0, -2.0]] * 4, [[0, 1], [nan, nan], [0, 0], [1, nan]])
    table = predictions_table(scores, Decision(1.0, (0.5, 0.5), 0.5, "fixed"), with_truth=True)
    assert table.columns[:5] == ["id", "path", "labels", "true_labels", "error"]
    assert table["labels"].to_list() == [["class-0"]] * 4
    assert table["true_labels"].to_list() == [["class-1"], None, [], ["class-0"]]
