"""Presets: what to fill in for well-known providers, and what to know before (req C7; as of 2026-11)."""

from dataclasses import dataclass
from typing import Any

from shared.domain.retirements import BASIC_AT_MICROSOFT

_MICROSOFT_USER = {"kind": "microsoft_user", "tenant": "consumers"}
_GOOGLE_USER = {"kind": "google_user"}
_PASSWORD = {"kind": "password"}
_APP_ONLY = "The provider takes no account passwords here: make an app password, with two-step verification on."
_POP3 = "POP3 sees the inbox only, cannot mark or move messages, and takes in only what comes after the first poll."


@dataclass(frozen=True, slots=True)
class Preset:
    """`source` is the beginning of a mailbox's source; `to_fill_in` are the paths in it that people must add."""

    id: str
    name: str
    source: dict[str, Any]
    to_fill_in: tuple[str, ...]
    warnings: tuple[str, ...] = ()


_SERVER = ("$.host", "$.sign_in.account", "$.sign_in.password_secret")
_CLIENT = ("$.sign_in.client_id", "$.sign_in.refresh_token_secret")

PRESETS = (
    Preset(
        "microsoft365",
        "Microsoft 365",
        {"kind": "graph", "sign_in": {"kind": "microsoft_app", "credential": {"kind": "managed_identity"}}},
        ("$.sign_in.tenant", "$.sign_in.client_id"),
        (
            "An app may read every mailbox of the tenant unless it is limited to some (RBAC for Applications).",
            BASIC_AT_MICROSOFT,
        ),
    ),
    Preset(
        "outlook",
        "Outlook.com",
        {"kind": "graph", "sign_in": _MICROSOFT_USER},
        _CLIENT,
        (BASIC_AT_MICROSOFT, "By IMAP, personal accounts may sign in and then not be connected: prefer Graph."),
    ),
    Preset("gmail", "Gmail", {"kind": "gmail", "sign_in": _GOOGLE_USER}, (*_CLIENT, "$.sign_in.client_secret")),
    Preset(
        "google_workspace",
        "Google Workspace",
        {"kind": "gmail", "sign_in": {"kind": "google_service"}},
        ("$.sign_in.key_secret",),
        ("The service account acts for anybody in the domain: delegate it the Gmail scope and no other.",),
    ),
    Preset(
        "yahoo",
        "Yahoo",
        {"kind": "imap", "host": "imap.mail.yahoo.com", "port": 993, "tls": {"mode": "tls"}, "sign_in": _PASSWORD},
        _SERVER[1:],
        (_APP_ONLY,),
    ),
    Preset(
        "imap",
        "Another IMAP server",
        {"kind": "imap", "port": 993, "tls": {"mode": "tls"}, "sign_in": _PASSWORD},
        _SERVER,
    ),
    Preset(
        "pop3",
        "Another POP3 server",
        {"kind": "pop3", "port": 995, "tls": {"mode": "tls"}, "sign_in": _PASSWORD},
        _SERVER,
        (_POP3,),
    ),
)
