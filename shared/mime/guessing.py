"""Which charset bytes are in that no part of a message declares: by how much of them would be everyday writing."""

import codecs
import re

from shared.mime.wordings import everyday

_SAMPLE = 4_000
_ENOUGH = 0.6
_FEW = 4
_FOREIGN = 0.4
"""From this share of 8-bit letters on, it is no Latin script with accents."""


def likely_charset(raw: bytes) -> str:
    """The codec that reads them best, `cp1252` where they are hardly anything but Latin."""
    sample = raw[:_SAMPLE]
    foreign = len(sample.translate(None, bytes(range(128))))
    latin = len(re.findall(rb"[A-Za-z]", sample))
    if foreign < _FEW or foreign <= _FOREIGN * (foreign + latin):
        return "cp1252"
    scores = [(_share(sample, name, common) * weight, name) for name, (common, weight) in everyday().items()]
    best = max(score for score, _ in scores)
    return next(name for score, name in scores if score == best) if best >= _ENOUGH else "cp1252"


def _share(sample: bytes, name: str, common: str) -> float:
    """Of the characters that are not ASCII, how many belong to everyday writing."""
    try:
        text = codecs.getincrementaldecoder(name)().decode(sample)
    except UnicodeDecodeError:
        return 0
    foreign = sum(character > "\x7f" for character in text)
    return sum(map(len, re.findall(common, text))) / foreign if foreign else 0
