"""SOAP as Exchange Web Services speak it: requests taken apart, answers and faults put together."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET
from xml.etree.ElementTree import Element, ParseError
from xml.sax.saxutils import escape, quoteattr

from local.simulators.web import Refused, Response

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
MESSAGES = "http://schemas.microsoft.com/exchange/services/2006/messages"
TYPES = "http://schemas.microsoft.com/exchange/services/2006/types"
ERRORS = "http://schemas.microsoft.com/exchange/services/2006/errors"
AUTODISCOVER = "http://schemas.microsoft.com/exchange/2010/Autodiscover"
NAMES = {"s": SOAP, "m": MESSAGES, "t": TYPES, "a": AUTODISCOVER}

VERSIONS = (
    *("Exchange2007", "Exchange2007_SP1", "Exchange2010", "Exchange2010_SP1", "Exchange2010_SP2"),
    *("Exchange2013", "Exchange2013_SP1", "Exchange2015", "Exchange2015_SP1", "Exchange2016"),
)
BUILDS = {"Exchange2010_SP2": (14, 3, 123, 3), "Exchange2013_SP1": (15, 0, 847, 32), "Exchange2016": (15, 1, 2507, 6)}
"""The servers that can be simulated, each with its build."""

_HEADERS = {"Content-Type": "text/xml; charset=utf-8"}


class Refusal(Exception):
    """One item or folder of a request is refused, with this response code; the others are served."""

    def __init__(self, code: str, text: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.text = text or code


@dataclass(frozen=True, slots=True)
class Call:
    """A request: `operation` names the element in the body, which is `payload`; `impersonated` is an address."""

    operation: str
    payload: Element
    version: str | None
    impersonated: str | None


def parse(body: bytes) -> Call:
    """:raises Refused: it is not what the schema asks for."""
    try:
        envelope = ET.fromstring(body)  # noqa: S314 - on loopback, from our own clients
    except ParseError as error:
        raise fault("ErrorSchemaValidation", "The request failed schema validation.") from error
    content = envelope.find("s:Body", NAMES)
    if content is None or not len(content):
        raise fault("ErrorSchemaValidation", "The request failed schema validation: the body is empty.")
    version = envelope.find("s:Header/t:RequestServerVersion", NAMES)
    sid = envelope.find("s:Header/t:ExchangeImpersonation/t:ConnectingSID", NAMES)
    return Call(
        operation=local_name(content[0]),
        payload=content[0],
        version=None if version is None else version.get("Version"),
        impersonated=None if sid is None or not len(sid) else (sid[0].text or "").strip().lower(),
    )


def local_name(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def text_of(element: Element, path: str) -> str:
    return (element.findtext(path, "", NAMES) or "").strip()


def required(element: Element, path: str) -> Element:
    found = element.find(path, NAMES)
    if found is None:
        raise fault("ErrorSchemaValidation", f"The request failed schema validation: {path} is missing.")
    return found


def one_of(value: str | None, allowed: Iterable[str], name: str) -> str:
    if value is None or value not in allowed:
        raise fault("ErrorSchemaValidation", f"The request failed schema validation: {name} cannot be '{value}'.")
    return value


def element(tag: str, content: str = "", **attributes: Any) -> str:
    """An element from XML that is ready; attributes are escaped here, those that are None left out."""
    pairs = "".join(f" {name}={quoteattr(str(value))}" for name, value in attributes.items() if value is not None)
    return f"<{tag}{pairs}>{content}</{tag}>"


def text(tag: str, value: object) -> str:
    return element(tag, escape(str(value).lower() if isinstance(value, bool) else str(value)))


def answer(operation: str, messages: Iterable[str], version: str) -> Response:
    """The response messages of an operation, in the envelope of a server of this version."""
    major, minor, build, revision = BUILDS[version]
    header = element(
        "h:ServerVersionInfo",
        MajorVersion=major,
        MinorVersion=minor,
        MajorBuildNumber=build,
        MinorBuildNumber=revision,
        Version="V2017_07_11" if version == "Exchange2016" else version,
        **{"xmlns:h": TYPES},
    )
    body = element(f"m:{operation}Response", element("m:ResponseMessages", "".join(messages)))
    return Response(200, _envelope(element("s:Header", header), body), dict(_HEADERS))


def success(operation: str, content: str) -> str:
    code = text("m:ResponseCode", "NoError")
    return element(f"m:{operation}ResponseMessage", code + content, ResponseClass="Success")


def failure(operation: str, refusal: Refusal) -> str:
    content = text("m:MessageText", refusal.text) + text("m:ResponseCode", refusal.code)
    content += text("m:DescriptiveLinkKey", 0)
    if operation == "SyncFolderItems":
        content += "<m:SyncState/>" + text("m:IncludesLastItemInRange", value=True)
    return element(f"m:{operation}ResponseMessage", content, ResponseClass="Error")


def soap_fault(code: str, said: str = "", back_off: float | None = None) -> dict[str, Any]:
    """Status and body of a fault; also the options of one that is ordered. `back_off` is in seconds."""
    value = text("t:Value", round((back_off or 0) * 1000)).replace("<t:Value>", '<t:Value Name="BackOffMilliseconds">')
    detail = f'<e:ResponseCode xmlns:e="{ERRORS}">{code}</e:ResponseCode>'
    detail += f'<e:Message xmlns:e="{ERRORS}">{escape(said or code)}</e:Message>'
    detail += "" if back_off is None else element("t:MessageXml", value)
    content = f"<faultcode>t:{code}</faultcode>" + text("faultstring", said or code) + element("detail", detail)
    return {"status": 500, "body": _envelope("", element("s:Fault", content)), "headers": dict(_HEADERS)}


def fault(code: str, said: str = "") -> Refused:
    return Refused(Response(**soap_fault(code, said)))


def _envelope(header: str, body: str) -> bytes:
    declared = "".join(f' xmlns:{prefix}="{name}"' for prefix, name in NAMES.items())
    content = f"<s:Envelope{declared}>{header}<s:Body>{body}</s:Body></s:Envelope>"
    return b'<?xml version="1.0" encoding="utf-8"?>' + content.encode()


def autodiscover_answer(content: str) -> Response:
    version = element("a:ServerVersionInfo", "".join(map(text, _VERSION_TAGS, BUILDS["Exchange2016"])))
    body = element("a:GetUserSettingsResponseMessage", element("a:Response", content))
    return Response(200, _envelope(element("s:Header", version), body), dict(_HEADERS))


_VERSION_TAGS = ("a:MajorVersion", "a:MinorVersion", "a:MajorBuildNumber", "a:MinorBuildNumber")
