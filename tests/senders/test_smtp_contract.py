"""SMTP keeps the contract of senders, secured in either way."""

import pytest

from local.smtp_server import run_smtp_server
from tests.senders.contract import SenderContract
from tests.senders.smtp_provider import SmtpProvider


class TestSmtp(SenderContract):
    @pytest.fixture(params=["tls", "starttls"])
    def provider(self, request):
        with run_smtp_server(request.param) as server:
            yield SmtpProvider(server, request.param)
