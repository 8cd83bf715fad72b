"""The pictures of a sweep, drawn from given values."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.support.sweeps import FAILOVER, STORY, make_results
from toystore.shop.sweep.plots import draw_all, draw_failover, draw_latency, draw_slots, shortened
from toystore.shop.sweep.results import SlotStory


def axes_of(figure: Figure) -> Axes:
    (axes,) = figure.axes
    return axes


def legend_of(figure: Figure) -> list[str]:
    legend = axes_of(figure).get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


@pytest.mark.row("B5")
def test_there_is_a_picture_for_each_kind_of_request(tmp_path: Path) -> None:
    pictures = draw_all(make_results(), tmp_path)
    assert [picture.file for picture in pictures] == [
        "latency-lookup.png",
        "latency-buy.png",
        "latency-order-query.png",
        "cache-contents.png",
        "failover.png",
    ]
    for picture in pictures:
        assert (tmp_path / picture.file).read_bytes().startswith(b"\x89PNG")
    without = draw_all(make_results(study=None), tmp_path)
    assert "cache-contents.png" not in [picture.file for picture in without]


@pytest.mark.row("B5")
def test_latency_is_drawn_over_the_probability_with_the_cache_and_without() -> None:
    figure = draw_latency(make_results().rounds, "lookup")
    axes = axes_of(figure)
    assert axes.get_xlabel() == "probability of an order after a lookup"
    assert axes.get_ylabel() == "milliseconds"
    assert legend_of(figure) == ["cache on: average", "cache on: p95", "cache off: average", "cache off: p95"]
    drawn = {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in axes.get_lines()}
    assert drawn["cache on: average"] == ([0.0, 0.4], [1.0, 1.0])
    assert drawn["cache off: p95"] == ([0.0, 0.4], [8.0, 8.0])
    (buys, *_) = axes_of(draw_latency(make_results().rounds, "buy")).get_lines()
    assert list(buys.get_xdata()) == [0.4], "where there was none, none is drawn"


@pytest.mark.row("B7", "K7")
def test_every_stay_in_a_slot_is_a_bar() -> None:
    figure = draw_slots(STORY)
    axes = axes_of(figure)
    bars = sorted((round(bar.get_y() + bar.get_height() / 2), bar.get_x(), bar.get_width()) for bar in axes.patches)
    assert bars == [(0, 0.0, 1.0), (0, 1.0, 3.0), (0, 4.0, 0.0), (1, 0.0, 2.0), (1, 3.0, 1.0)]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["slot 0", "slot 1"]
    assert legend_of(figure) == ["Fox", "Lego", "Tux"]
    assert {"Tux", "Fox", "Lego"} >= {text.get_text() for text in axes.texts} != set()


@pytest.mark.row("B7")
def test_a_failover_is_a_point_for_each_request_and_two_lines() -> None:
    figure = draw_failover(FAILOVER)
    axes = axes_of(figure)
    points = {
        line.get_label(): list(line.get_ydata())
        for line in axes.get_lines()
        if len(line.get_xdata()) and line.get_marker() != "None"
    }
    assert points == {"lookup": [1.0, 2.0], "buy": [10.0, 400.0], "buy that failed": [100.0]}
    assert [text.get_text().strip() for text in axes.texts] == ["order-3 killed", "order-3 started again"]
    assert axes.get_yscale() == "log"
    assert axes.get_ylim()[1] > 400.0


def test_long_names_are_shortened() -> None:
    assert shortened("How to finish Project 3 on time", 10) == "How to fi…"
    assert shortened("Fox", 10) == "Fox"


def test_a_single_moment_and_no_request_can_be_drawn(tmp_path: Path) -> None:
    figure = draw_slots(SlotStory(2, {0: "Tux"}, STORY.events[:1]))
    figure.savefig(tmp_path / "moment.png")
    draw_failover(evolve(FAILOVER, answers=())).savefig(tmp_path / "nothing.png")
