import re
from html import unescape

import pytest

from finelens.reporting.against_probe import (
    AgainstProbe,
    hold_against_probe,
    kept_probe_sentence,
)
from finelens.reporting.cautions import find_cautions
from finelens.reporting.record import read_record
from finelens.reporting.report import write_report

METRIC = "mean_average_precision"
# the log of make_run: 0.7 of the probe; 0.65, 0.70 and 0.75 of epochs 1 to 3


def record_of(make_run, best, **settings):
    return read_record(make_run(summary={"best": best}, **settings))


def test_the_kept_epoch_speaks_for_fine_tuning(make_run):
    record = record_of(make_run, {METRIC: {"value": 0.75, "epoch": 3}})
    assert hold_against_probe(record) == AgainstProbe(METRIC, 0.7, 0.75, 3, is_probe_kept=False)
    assert kept_probe_sentence(record) is None


def test_an_epoch_kept_for_another_metric_gives_its_own_value(make_run):
    record = record_of(make_run, {"loss": {"value": 0.6, "epoch": 2}})
    held = hold_against_probe(record)
    assert held is not None
    assert (held.tuned, held.tuned_epoch) == (pytest.approx(0.7), 2)
    assert not held.is_tuned_better


def test_where_the_probe_was_kept_the_best_epoch_speaks_for_fine_tuning(make_run):
    best = {METRIC: {"value": 0.8, "epoch": 0}}
    record = record_of(make_run, best | {"loss": {"value": 0.4, "epoch": 3}})
    record.summary["probe"][METRIC] = 0.8
    assert hold_against_probe(record) == AgainstProbe(METRIC, 0.8, 0.75, 3, is_probe_kept=True)
    told = (
        "Fine-tuning reached mean AP 75.0% on validation, no better than the probe's 80.0%: "
        "the probe's weights are the model."
    )
    assert kept_probe_sentence(record) == told
    assert told in find_cautions(record)


def test_a_probe_that_was_kept_for_its_loss_is_told_by_its_loss(make_run):
    record = record_of(make_run, {"loss": {"value": 0.35, "epoch": 0}})
    assert kept_probe_sentence(record) == "The probe's weights are the model: no epoch was better."
    record.summary["probe"]["loss"] = 0.35
    # 1.2 / 3 is the least that an epoch reached
    assert "reached loss 0.4000 on validation, no better than the probe's 0.3500:" in (
        kept_probe_sentence(record) or ""
    )
    held = hold_against_probe(record, "loss")
    assert held is not None
    assert not held.is_tuned_better


def test_the_report_shows_fine_tuning_as_it_was_and_which_was_kept(make_run):
    run = make_run(summary={"best": {METRIC: {"value": 0.8, "epoch": 0}}, "probe": {METRIC: 0.8}})
    text = unescape(re.sub(r"<[^>]+>", " ", write_report(run).read_text().split("</style>")[1]))
    text = re.sub(r"\s+", " ", text)
    assert "Probe, frozen backbone (kept) 80.0%" in text
    assert "Fine-tuned, at best 75.0% (-5.0 points)" in text
    assert "Weights kept the probe's" in text
    assert "No epoch beat the probe, whose weights were kept." in text
    assert "Converged" not in text
    assert "The diamond" not in text


def test_a_recipe_without_phases_is_not_said_to_have_tried_epochs(make_run):
    record = record_of(make_run, {METRIC: {"value": 0.8, "epoch": 0}})
    record.recipe["phases"] = []
    told = "The probe's weights are the model, as the recipe has no phases."
    assert kept_probe_sentence(record) == told
