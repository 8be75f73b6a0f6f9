"""Words on a colour can be read, whatever the colour."""

from hypothesis import given
from hypothesis import strategies as st

from alerts_service.rules import contrast

COLOURS = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")


def test_the_ratio_is_that_of_the_standard() -> None:
    assert contrast.ratio("#000000", "#ffffff") == 21
    assert contrast.ratio("#777777", "#777777") == 1
    # The example everybody uses: the darkest grey that fails on white, and the first that passes.
    assert contrast.ratio("#777777", "#ffffff") < 4.5 < contrast.ratio("#767676", "#ffffff")


@given(COLOURS)
def test_words_stand_out_from_every_colour(colour: str) -> None:
    assert contrast.ratio(contrast.text_on(colour), colour) >= 4.1


def test_only_what_a_colour_field_writes_is_a_colour() -> None:
    assert contrast.is_colour("#005ea2")
    for text in ("", "red", "#fff", "#005EA2", "#005ea2;", "005ea2", "#00５ea2", "#005ea2\n"):
        assert not contrast.is_colour(text)
