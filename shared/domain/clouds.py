"""Microsoft's clouds: where each signs in apps and people, and where it keeps their mail (req C12)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

CloudName = Literal["global", "us_government", "us_government_dod", "china"]


@dataclass(frozen=True, slots=True)
class Cloud:
    """Roots without a slash at the end; `federated_audience` is what federated credentials are for."""

    login: str
    graph: str
    exchange: str
    federated_audience: str


CLOUDS: Mapping[CloudName, Cloud] = {
    "global": Cloud(
        login="https://login.microsoftonline.com",
        graph="https://graph.microsoft.com",
        exchange="https://outlook.office365.com",
        federated_audience="api://AzureADTokenExchange",
    ),
    "us_government": Cloud(
        login="https://login.microsoftonline.us",
        graph="https://graph.microsoft.us",
        exchange="https://outlook.office365.us",
        federated_audience="api://AzureADTokenExchangeUSGov",
    ),
    "us_government_dod": Cloud(
        login="https://login.microsoftonline.us",
        graph="https://dod-graph.microsoft.us",
        exchange="https://outlook-dod.office365.us",
        federated_audience="api://AzureADTokenExchangeUSGov",
    ),
    "china": Cloud(
        login="https://login.chinacloudapi.cn",
        graph="https://microsoftgraph.chinacloudapi.cn",
        exchange="https://partner.outlook.cn",
        federated_audience="api://AzureADTokenExchangeChina",
    ),
}
