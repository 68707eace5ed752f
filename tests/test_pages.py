"""Pages: words wrap, panels stack and wrap. That nothing collides is tested with the figures."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pytest

from lib.pages import BESIDE, GAP, WIDTH, add_legend, open_page, panel_width, wrap


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.mark.parametrize(
    "text, width, lines",
    [
        ("short", 1, ["short"]),
        ("twelve chars", 1, ["twelve chars"]),
        ("thirteen char", 1, ["thirteen", "char"]),
        ("FourierConvolution", 1, ["FourierConvolution"]),
        ("as narrow as this", 0.1, ["as", "narrow", "as this"]),
        ("", 1, [""]),
    ],
)
def test_words_wrap_and_stay_whole(text, width, lines):
    assert wrap(text, width).split("\n") == lines


def test_panels_share_what_the_page_leaves_them():
    for count, columns, in_a_row in ((1, 4, 1), (3, 4, 3), (9, 4, 4), (9, 2, 2)):
        filled = in_a_row * (panel_width(count, columns) + GAP) + BESIDE
        assert filled == pytest.approx(WIDTH)


def test_narrow_panels_stand_in_the_middle():
    figure, panels = open_page(["a", "b"], [2], widths=[1, 1])
    figure.canvas.draw()
    left, right = (panels[i, 0].get_position() for i in range(2))
    assert left.x0 > 0.3 and right.x1 < 0.7 and left.width * WIDTH == pytest.approx(1, abs=0.6)


def test_a_panel_may_stack_axes():
    figure, panels = open_page(list("abcde"), [1, 2], columns=3)
    assert panels.shape == (5, 2) and len(figure.axes) == 2 * 2 * 3
    assert [panel[0].get_title() for panel in panels] == list("abcde")
    assert not any(panel[1].get_title() for panel in panels)
    figure.canvas.draw()
    for above, below in panels:
        assert above.get_position().y0 > below.get_position().y1
    assert [ax.axison for ax in figure.axes].count(False) == 2, "the place left over"


def test_shared_axes_have_one_scale():
    for share in (False, True):
        _, panels = open_page(["a", "b"], [2], share=share)
        panels[0, 0].set_ylim(3, 4)
        assert (panels[1, 0].get_ylim() == (3, 4)) == share


def test_a_legend_below_makes_the_page_higher():
    for count, more in ((0, 0), (4, 0.35), (5, 0.7)):
        figure, _ = open_page(["a"], [2])
        before = figure.get_figheight()
        add_legend(figure, [plt.Line2D([], [], label=f"{i}") for i in range(count)], below=True)
        assert figure.get_figheight() - before == pytest.approx(more)
        assert len(figure.legends) == (count > 0)
