from shared.domain.fields import secret_names
from shared.domain.sign_in import Certificate, ClientSecret, MicrosoftAppSignIn, OAuth2SignIn, PasswordSignIn
from shared.domain.sources import GraphSource, ImapSource

GUID = "11111111-1111-4111-8111-111111111111"


def test_the_secrets_of_a_configuration_are_found_wherever_they_are_named():
    imap = ImapSource(host="mail.example.com", sign_in=PasswordSignIn(account="a", password_secret="one"))
    app = MicrosoftAppSignIn(tenant="t", client_id=GUID, credential=ClientSecret(secret="two"))
    certified = app.model_copy(update={"credential": Certificate(certificate_secret="three")})
    person = OAuth2SignIn(
        client_id="c",
        client_secret="four",
        authorization_url="https://a.example",
        token_url="https://t.example",
        scopes="mail",
        refresh_token_secret="five",
    )

    assert [*secret_names(imap)] == ["one"]
    assert [*secret_names(GraphSource(sign_in=app))] == ["two"]
    assert [*secret_names(GraphSource(sign_in=certified))] == ["three"]
    assert [*secret_names(person)] == ["four", "five"]
