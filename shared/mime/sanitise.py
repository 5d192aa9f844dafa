"""HTML of mail, made safe for people to look at (req X3)."""

import re
from collections.abc import Callable
from html import escape, unescape
from urllib.parse import unquote

from shared.mime.html import TAGS, Token, attributes, well_nested

_LINK = re.compile(r"\s*(?:https?://|mailto:|tel:)", re.IGNORECASE)
_REMOTE = re.compile(r"\s*https?://", re.IGNORECASE)
_DATA_IMAGE = re.compile(r"\s*data:image/(?:png|gif|jpe?g|webp);", re.IGNORECASE)
_ACTIVE_STYLE = re.compile(r"[\\@]|/\*|url|image|expression|^\s*+margin[^:]{0,20}:[^;]*[(-]", re.IGNORECASE)
"""What loads, runs, or moves a part of the mail over what is around it."""
_ATTRIBUTES = {
    "*": {"align", "bgcolor", "dir", "height", "lang", "style", "title", "valign", "width"},
    "a": {"href"},
    "col": {"span"},
    "colgroup": {"span"},
    "font": {"color", "face", "size"},
    "img": {"alt", "src"},
    "ol": {"start", "type"},
    "table": {"border", "cellpadding", "cellspacing"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan"},
}
_MAX_TEXT = 4_000
"""Characters of text without a tag or comment in it: nh3 takes quadratic time for those that it escapes."""
_STYLES = set(
    """
    background-color border border-bottom border-collapse border-color border-left border-right border-spacing
    border-style border-top border-width color direction font-family font-size font-style font-variant
    font-weight height letter-spacing line-height list-style-type margin margin-bottom margin-left margin-right
    margin-top max-width min-width padding padding-bottom padding-left padding-right padding-top table-layout
    text-align text-decoration text-indent text-transform unicode-bidi vertical-align white-space width
    """.split()  # noqa: SIM905 - a list of these would fill a screen
)


def sanitise(source: str, image_url: Callable[[str], str | None], *, remote_images: bool = False) -> str:
    """The HTML without scripts, forms and everything that loads something from elsewhere, but for images if so wanted.

    `image_url` says where the image with this Content-ID is; None leaves it out.
    """
    import nh3  # only needed when somebody looks

    def keep(tag: str, name: str, value: str) -> str | None:
        match tag, name:
            case "img", "src":
                return value if remote_images and _REMOTE.match(value) else _image(value, image_url)
            case _, "href":
                return value if _LINK.match(value) else None
            case _, "style":
                return ";".join(part for part in value.split(";") if not _ACTIVE_STYLE.search(part))
        return value

    return nh3.clean(
        "".join(map(_written, well_nested(source))),
        tags=set(TAGS),
        attributes=_ATTRIBUTES,
        attribute_filter=keep,
        url_schemes={"http", "https", "mailto", "tel", "cid", "data"},
        set_tag_attribute_values={"a": {"target": "_blank"}},
        link_rel="noopener noreferrer nofollow",
        filter_style_properties=_STYLES,
    )


def _image(value: str, image_url: Callable[[str], str | None]) -> str | None:
    if value.strip()[:4].lower() == "cid:":
        return image_url(unquote(value.strip()[4:]))
    return value if _DATA_IMAGE.match(value) else None


def _written(token: Token) -> str:
    match token.kind:
        case "text":
            text = unescape(token.value)
            pieces = (text[start : start + _MAX_TEXT] for start in range(0, len(text), _MAX_TEXT))
            return "<!---->".join(escape(piece, quote=False) for piece in pieces)
        case "start":
            written = (f' {name}="{escape(value)}"' for name, value in attributes(token.attributes).items())
            return f"<{token.value}{''.join(written)}>"
        case "end":
            return f"</{token.value}>"
