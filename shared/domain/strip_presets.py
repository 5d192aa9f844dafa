"""Ready-made rules that strip what programs add to the text of mail (req K5)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StripPreset:
    """A rule to turn on by its id, or to copy: `pattern` and `replacement` are those of a rule of one's own."""

    id: str
    name: str
    description: str
    pattern: str
    replacement: str = ""


def _any(*words: str) -> str:
    return f"(?:{'|'.join(words)})"


_LEAD = r"(?m)^[ \t>*_#!|(\[\x{26A0}\x{FE0F}-]*"
"""What stands before the first word of a line that programs wrote."""
_CAUTION = _any(
    "caution",
    "warning",
    "attention",
    "achtung",
    "vorsicht",
    "hinweis",
    "precaución",
    "atención",
    "atenção",
    "attenzione",
    "let op",
    "внимание",
)
_OUTSIDE = _any(
    "this (?:e-?mail|message|mail)[^\\n]* (?:from|by) (?:a |an )?(?:external|outside|someone outside|sender outside)",
    "this (?:e-?mail|message|mail) originated outside",
    "external (?:e-?mail|sender|message)[ \\t]*(?:$|[\\]*!:.|-])",
    "diese (?:e-?mail|nachricht)[^\\n]* (?:von einem externen|von außerhalb)",
    "externe (?:e-?mail|nachricht)[ \\t]*(?:$|[\\]*!:.|-])",
    "(?:ce (?:message|courriel)|cet e-?mail)[^\\n]* (?:de l.ext[ée]rieur|d.un exp[ée]diteur externe)",
    "este (?:correo|mensaje|e-?mail)[^\\n]* (?:extern|fuera de)",
    "(?:este e-?mail|esta mensagem)[^\\n]* (?:extern|fora d)",
    "(?:questa e-?mail|questo messaggio)[^\\n]* (?:estern|dall.esterno)",
    "(?:deze e-?mail|dit bericht)[^\\n]* (?:van buiten|extern)",
    "это (?:письмо|сообщение)[^\\n]* (?:внешн|извне)",
)
_ADVICE = _any("click", "attachment", "sender", "content is safe", "links?", "anh[äa]ng", "absender", "klicken")
_ADVICE = f"(?:\\n[^\\n]*{_ADVICE}[^\\n]*)"
_FROM_DEVICE = _any(
    "sent from (?:my|the|outlook|mail for|yahoo|samsung|aol|proton|gmail|mailbird|spark)",
    "sent (?:with|via) (?:proton|spark|canary|airmail|superhuman|the|my)",
    "get outlook for",
    "gesendet (?:von|mit) (?:mein|outlook|mail|der|yahoo|proton)",
    "von meinem [^\\n]+ gesendet",
    "envoyé (?:de(?:puis)? (?:mon|ma|l.|outlook|yahoo)|avec)",
    "t[ée]l[ée]charge[rz] outlook pour",
    "enviado (?:desde|do|a partir do|de mi|con) (?:mi|meu|o|la|outlook|yahoo|iphone)",
    "obtener outlook para",
    "obter o outlook para",
    "inviato da(?:l| |ll)",
    "scarica outlook per",
    "verzonden vanaf",
    "verstuurd vanaf",
    "outlook voor [^\\n]+ downloaden",
    "wysłane z",
    "odesláno z",
    "отправлено (?:\u0441|из)",
    "надіслано з",
    "skickat från min",
    "sendt fra min",
    "lähetetty ",
    "gönderildi:? ",
    "iphone\\s?から送信",
    "发自我的",
    "從我的",
    "나의 iphone에서 보냄",
)
_CONFIDENTIAL = _any(
    "confidentiality (?:notice|note|warning)",
    "(?:legal )?disclaimer ?:",
    "the (?:information|contents?) (?:contained )?in this (?:e-?mail|message|communication)",
    "this (?:e-?mail|message|communication|transmission)(?: message)?,?"
    "(?: \\(?(?:and|including|together)[^\\n]*)?"
    " (?:is|are|may be|may contain|contains?) (?:\\w+ )*(?:confidential|privileged|intended)",
    "diese (?:e-?mail|nachricht) (?:[^\\n]* )?(?:vertraulich|ausschlie)",
    "(?:ce (?:message|courriel)|cet e-?mail)[^\\n]* (?:confidentiel|exclusi|[ée]tabli)",
    "este (?:mensaje|correo|e-?mail|mensagem)[^\\n]* confidencia",
    "(?:esta|a presente) mensagem[^\\n]* confidencia",
    "(?:questo messaggio|questa e-?mail|le informazioni contenute)[^\\n]* (?:riservat|confidenzial)",
    "dit (?:bericht|e-?mailbericht)[^\\n]* vertrouwelijk",
    "(?:это сообщение|данное сообщение|настоящее сообщение)[^\\n]* конфиденциальн",
)
_FORWARDED = _any(
    "forwarded message",
    "original message",
    "weitergeleitete nachricht",
    "urspr[üu]ngliche nachricht",
    "message (?:transf[ée]r[ée]|d.origine)",
    "mensaje (?:reenviado|original)",
    "mensagem (?:encaminhada|original)",
    "messaggio (?:inoltrato|originale)",
    "doorgestuurd bericht",
    "oorspronkelijk bericht",
    "пересылаемое сообщение",
    "исходное сообщение",
)
_PRINTING = _any(
    "(?:please )?(?:consider|think of) the environment before printing",
    "(?:bitte )?(?:denken sie an die umwelt|pr[üu]fen sie[^\\n]* ausdruck)",
    "pensez? [àa] l.environnement avant d.imprimer",
    "antes de imprimir",
    "prima di stampare",
    "denk aan het milieu",
)

STRIP_PRESETS = (
    StripPreset(
        "external-sender",
        "External sender banner",
        "The warning that Exchange, Google Workspace and gateways put above mail from outside",
        rf"{_LEAD}(?:{_CAUTION}[ \t:!*\]>-]*)?{_OUTSIDE}[^\n]*{_ADVICE}{{0,4}}\n*",
    ),
    StripPreset(
        "first-contact",
        "First contact tip",
        "Exchange Online's tip that one does not often get mail from the sender",
        rf"{_LEAD}(?:you don.t often get e-?mail from|some people who received this message don.t often get|"
        r"sie erhalten nicht oft (?:eine )?e-?mail|vous n.obtenez pas souvent|no suele recibir correo)[^\n]*\n*",
    ),
    StripPreset(
        "sent-from-device",
        "Sent from my ...",
        "The line that phones and apps put below a message, in some twenty languages",
        rf"(?m)^[ \t]*{_FROM_DEVICE}[^\n]*\n?",
    ),
    StripPreset(
        "legal-disclaimer",
        "Confidentiality notice",
        "The paragraph of lawyers' text below a message, in nine languages",
        rf"{_LEAD}{_CONFIDENTIAL}[^\n]*(?:\n[^\n]+)*\n?",
    ),
    StripPreset(
        "printing",
        "Think before printing",
        "The request to think of the environment before printing",
        rf"{_LEAD}(?:\w+ )?{_PRINTING}[^\n]*\n?",
    ),
    StripPreset(
        "virus-scanner",
        "Virus scanner's advertisement",
        "The lines of Avast, AVG, Norton, McAfee, ESET and others that a message was checked",
        rf"{_LEAD}(?:(?:virus|malware)[- ]free[.!,]? |(?:no|keine) viru(?:s|ses|sen|ren) (?:found|gefunden)|"
        r"this e-?mail has been (?:checked|scanned) (?:for viruses|by)|diese e-?mail wurde von [^\n]+ gepr[üu]ft|"
        r"(?:checked|scanned) by (?:avast|avg|eset|norton|mcafee))[^\n]*\n?",
    ),
    StripPreset(
        "safe-links",
        "Microsoft Safe Links",
        "Shows the address that a safelinks.protection.outlook.com link leads to",
        r"https://[0-9a-z.-]+\.safelinks\.protection\.(?:outlook\.com|office365\.us|partner\.outlook\.cn)"
        r"/[^\s?]*\?(?:[^\s]*&)?url=([^&\s<>()\[\]]+)[^\s<>()\[\]]*",
        "{{ match.1 | url_decoded }}",
    ),
    StripPreset(
        "proofpoint-links",
        "Proofpoint links",
        "Shows the address that a urldefense.com link (version 3) leads to",
        r"https://urldefense\.(?:com|us|proofpoint\.com)/v3/__([^\s<>]+?)__;[^\s<>()\[\]]*",
        "{{ match.1 }}",
    ),
    StripPreset(
        "redirected-links",
        "Barracuda and Google links",
        "Shows the address that a linkprotect.cudasvc.com or google.com/url link leads to",
        r"https://(?:linkprotect\.cudasvc\.com|www\.google\.com)/url\?(?:[^\s]*&)?[aq]=([^&\s<>()\[\]]+)"
        r"[^\s<>()\[\]]*",
        "{{ match.1 | url_decoded }}",
    ),
    StripPreset(
        "tracking-parameters",
        "Tracking parameters",
        "What advertising adds to links: utm_..., fbclid, gclid, mc_cid and mc_eid",
        r"\b(?:utm_[a-z]{2,20}|fbclid|gclid|msclkid|mc_[ce]id)=[^&\s<>()\[\]#]*&?",
    ),
    StripPreset(
        "inline-image-names",
        "Names of inline images",
        "What stands in the text where the HTML shows an image: [cid:...] and [image: ...]",
        r"\[(?:cid:[^\]\s]+|(?:inline )?image: ?[^\]\n]+)\]",
    ),
    StripPreset(
        "forwarded-header",
        "Header of a forwarded message",
        "The lines with sender, date, recipients and subject above what somebody forwarded",
        rf"(?m)^[ \t]*(?:-{{2,}} ?{_FORWARDED} ?-{{2,}}|begin forwarded message:)[ \t]*\n+"
        r"(?:[^\s:<>][^\n:<>]*:[^\n]*\n){2,}\n*",
    ),
    StripPreset(
        "meeting-invitation",
        "Microsoft Teams invitation",
        "How to join a Teams meeting: the block between lines of underscores",
        r"(?m)^_{10,}\n(?:[^\n_][^\n]*)?\n?[^\n]*Microsoft Teams[^\n]*\n(?:[^\n]*\n)*?_{10,}[ \t]*\n?",
    ),
    StripPreset(
        "list-footer",
        "Mailing list footer",
        "What Mailman and others put below a message, from the line of underscores on",
        r"(?ms)^_{20,}\n[^\n]+ mailing list\b.*\z",
    ),
    StripPreset(
        "signature",
        "Signature",
        "All below the line `-- ` that separates a signature (RFC 3676 section 4.3)",
        r"(?ms)^-- \n.*\z",
    ),
    StripPreset(
        "blank-lines",
        "Blank lines",
        "Several blank lines become one",
        r"\n(?:[ \t\x{a0}]*\n){2,}",
        "\n\n",
    ),
)
