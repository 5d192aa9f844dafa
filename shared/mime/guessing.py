"""Which charset bytes are in that no part of a message declares: by how much of them would be everyday writing."""

import codecs
import re

_SAMPLE = 4_000
_ENOUGH = 0.6
_FEW = 4
_FOREIGN = 0.4
"""From this share of 8-bit letters on, it is no Latin script with accents."""
_EVERYDAY = (  # in what order to prefer them, what is common in them, and how much more of a text is not
    ("cp1251", r"\b[А-ЯЁІЇЄ]?[а-яёіїє]+\b", 1.0),  # noqa: RUF001 - Cyrillic
    ("koi8_r", r"\b[А-ЯЁ]?[а-яё]+\b", 1.0),  # noqa: RUF001 - Cyrillic
    ("cp1253", r"\b[Α-ΩΆ-Ώ]?[α-ωά-ώ]+\b", 1.0),  # noqa: RUF001 - Greek
    ("cp1256", r"[\u0621-\u064a]+", 1.0),
    ("cp874", r"[\u0e01-\u0e4e]{3,}", 0.75),
    ("cp949", r"[\uac00-\ud7a3]+", 1.0),
    ("euc_jp", r"[\u3041-\u30ff]+", 1.8),
    ("cp932", r"[\u3041-\u30ff]+", 1.8),
    (
        "gb18030",
        (
            "[的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你您好请谢对生能而子得下自年过发后作里用行所家事成方"
            "多么去法学如都同现没动面看定天分还进小部主理本前开但因只想无机公工使情明性知全关点正业外高间由问最重新加月话回内信表"
            "位通题更数报务做接件管期市资空司打收邮账单登录系统帮忙联系处]+"
        ),
        2.2,
    ),
    (
        "big5hkscs",
        (
            "[的一是不了在人有我他這個們中來上大為和國地到以說時要就出會可也你您好請謝對生能而子得下自年過發後作裡用行所家事成方"
            "多麼去法學如都同現沒動面看定天分還進小部主理本前開但因只想無機公工使情明性知全關點正業外高間由問最重新加月話回內信表"
            "位通題更數報務做接件管期市資空司打收郵帳單登錄系統幫忙聯繫處]+"
        ),
        2.2,
    ),
)


def likely_charset(raw: bytes) -> str:
    """The codec that reads them best, `cp1252` where they are hardly anything but Latin."""
    sample = raw[:_SAMPLE]
    foreign = len(sample.translate(None, bytes(range(128))))
    latin = len(re.findall(rb"[A-Za-z]", sample))
    if foreign < _FEW or foreign <= _FOREIGN * (foreign + latin):
        return "cp1252"
    scores = [(_share(sample, name, common) * weight, name) for name, common, weight in _EVERYDAY]
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
