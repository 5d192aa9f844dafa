"""Simulated Autodiscover (SOAP, GetUserSettings): where the Exchange Web Services of an address are."""

from xml.etree.ElementTree import Element

from local.simulators.ews_access import Access
from local.simulators.ews_soap import NAMES, autodiscover_answer, element, fault, parse, text
from local.simulators.web import Request, Response


class Autodiscover:
    """`redirects` send an address to another address, or to the URL of another Autodiscover service."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self.redirects: dict[str, str] = {}

    def serve(self, request: Request) -> Response:
        call = parse(request.body)
        if call.operation != "GetUserSettingsRequestMessage":
            raise fault("ErrorInvalidRequest", f"the simulator has no operation {call.operation}")
        users = [(user.text or "").lower() for user in call.payload.findall(".//a:User/a:Mailbox", NAMES)]
        content = "".join(self._user(address, call.payload, request.origin) for address in users)
        return autodiscover_answer(_status("NoError") + element("a:UserResponses", content))

    def _user(self, address: str, payload: Element, origin: str) -> str:
        target = self.redirects.get(address)
        if target is not None:
            code = "RedirectUrl" if target.startswith("https:") else "RedirectAddress"
            return element("a:UserResponse", _status(code) + text("a:RedirectTarget", target) + "<a:UserSettings/>")
        if not self._access.has_mailbox(address):
            return element("a:UserResponse", _status("InvalidUser") + "<a:UserSettings/>")
        known = {
            "AutoDiscoverSMTPAddress": address,
            "ExternalEwsUrl": f"{origin}/EWS/Exchange.asmx",
            "InternalEwsUrl": f"{origin}/EWS/Exchange.asmx",
        }
        wanted = [found.text or "" for found in payload.findall(".//a:Setting", NAMES)]
        settings = "".join(
            element("a:UserSetting", text("a:Name", name) + text("a:Value", known[name]))
            for name in wanted
            if name in known
        )
        return element("a:UserResponse", _status("NoError") + element("a:UserSettings", settings))


def _status(code: str) -> str:
    return text("a:ErrorCode", code) + text("a:ErrorMessage", code)
