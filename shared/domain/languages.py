# ruff: noqa: RUF001 - words of other languages look like Latin letters
"""Languages: which one a text is in, and which one a person is answered in."""

import re
from collections.abc import Collection

_WORD = re.compile(r"[^\W\d_]{2,}")
_LOOKED_AT = 4_000
_MIN_WORDS = 3
"""Fewer frequent words than these tell nothing."""

# One word may belong to several languages, and counts for each.
_FREQUENT = {
    "bg": """ако благодаря бих ви включително все още да до за здравейте или има как какво когато които който като към
        мога може моля на нас не ние но от по при се след сме съм със така то това тук че ще във""",
    "de": """aber als am auch auf aus bei bin bitte da danke das dass dem den der des die diese ein eine einen er es
        für guten habe haben hallo ich ihnen ihr ihre im in ist kann kein keine mein mich mir mit nach nicht noch nur
        oder schon sehr sein sich sie sind so um und uns unser von vor war was wenn werden wie wir wird zu zum zur""",
    "en": """a all am an and are as at be been but by can could do does for from get had has have hello help how i if
        in is it me my no not of on or our please so still thank thanks that the their there they this to us was we
        were what when which will with would you your""",
    "es": """a al buenas buenos como con cuando de del desde días donde el ella en es esta estamos está este estoy
        gracias ha hay hemos hola la las le lo los me mi muchas muy más necesito no nos nuestra nuestro o para pero
        por puede puedo que se si sin sobre su sus también tengo un una usted y ya yo""",
    "fr": """à au aussi avec avons bien bonjour c ce cela ces cette d dans de depuis des du elle en est et été fait il
        j je l la le les leur lui ma mais me merci mes moi mon n ne nos notre nous on ou par pas plus pour pouvez
        pourriez que qu qui s sa sans se si son sont sur un une vous votre vos y""",
    "it": """abbiamo al alla anche buongiorno che chi ci come con cosa cui da dal dalla dei del della delle di dopo è ed
        era fatto grazie gli ha hanno ho il in io la le lo ma mi mia mio ne nel nella non nostra nostro per perché più
        può quando questa questo salve se senza si sono su sul suo tra tutti un una vi vostro""",
    "nl": """aan al als bedankt ben bent bij dan dat de deze die dit doen door een en er geen goedemorgen graag had heb
        hebben heeft het hoe ik in is je kan kunnen kunt maar meer met mij mijn na naar niet nog nu of om onze ook op
        over te tot uit uw van voor waar was wat we wel wij worden wordt zijn zo zou""",
    "pl": """ale będzie bardzo bo było by być co czy dla do dzień dobry dziękuję gdy go ich ja jak jest już kiedy ktoś
        który lub ma mam mi mnie może mogę można na nam nas nie od oraz po pod pozdrawiam proszę przez przy są się
        ten też to tylko tym witam za ze że""",
    "pt": """a ao aos as até bom com como da das de depois desde dia do dos e ela ele em esta estamos estou está eu foi
        isso já mais mas me meu minha muito na nas nem no nos nossa nosso não o obrigada obrigado olá os ou para
        pela pelo pode por preciso que se sem ser seu sua são também tem temos tenho um uma você vocês é""",
    "ru": """а без благодарю бы был было быть в вам вас во вот все вы где да для до добрый его если есть еще ещё же за
        здравствуйте и из или их к как когда ко мне можно мы на нам нас наш не нет но о от очень по пожалуйста при с
        со спасибо так также то только у уже что это этот я""",
    "uk": """або але без був була було бути вам вас ви він вона вони все всі де для день добрий до дякую є за зі його
        її із коли ласка ми можна мені на нам нас не немає ні та так також те ти то тут це цей що щоб як який якщо""",
}  # fmt: skip


def detected(text: str) -> str:
    """The language of a text, by its most frequent words; empty where they do not tell one of those we know."""
    words = _WORD.findall(text[:_LOOKED_AT].lower())
    frequent = ((sum(map(set(known.split()).__contains__, words)), language) for language, known in _FREQUENT.items())
    (second, _), (most, first) = sorted(frequent)[-2:]
    return first if most >= _MIN_WORDS and most * 10 >= second * 12 and most * 8 >= len(words) else ""


def language_for(*, contact: str, text: str, declared: str, default: str, available: Collection[str]) -> str:
    """The language to answer in: the contact's own, the one they wrote in, the one the message declares, the default.

    `declared` is Content-Language (RFC 3282), which many programs fill with the language of their menus: what was
    written counts for more. Regions are set aside: `de-AT` is `de`.
    """
    wanted = (contact, detected(text), *declared.split(","), default)
    tags = (tag.split(";")[0].strip().lower().replace("_", "-").partition("-")[0] for tag in wanted)
    return next((tag for tag in tags if tag in available), "en")
