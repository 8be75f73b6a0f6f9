"""Which words can be read on a colour (WCAG 2.2, 1.4.3)."""

import re

LIGHT, DARK = "#ffffff", "#1b1b1b"
_COLOUR = re.compile(r"#[0-9a-f]{6}")
# WCAG 2.2's definition of relative luminance, after sRGB.
_WEIGHTS = (0.2126, 0.7152, 0.0722)
_LINEAR_BELOW = 0.04045


def is_colour(text: str) -> bool:
    """Say whether a text is a colour such as #005ea2, as a browser's colour field writes it."""
    return _COLOUR.fullmatch(text) is not None


def text_on(colour: str) -> str:
    """Return the colour of words on a button of this colour: whichever of light and dark stands out more."""
    return max((LIGHT, DARK), key=lambda words: ratio(words, colour))


def ratio(one: str, other: str) -> float:
    """Return the contrast ratio of two colours, from 1 to 21."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    channels = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    return sum(weight * _linear(channel) for weight, channel in zip(_WEIGHTS, channels, strict=True))


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= _LINEAR_BELOW else ((channel + 0.055) / 1.055) ** 2.4
