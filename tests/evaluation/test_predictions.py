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
