"""What keeps the deployment safe. A rule yields what breaks it."""

import re
from collections.abc import Iterator

from tests.infra import app
from tests.infra.bicep import Expression
from tests.infra.deployment import Deployment

_SECRETS = re.compile(
    r"list\w*Keys?\(|listAccountSas|listServiceSas|AccountKey=|SharedAccessKey|@secure\(|sig=", re.IGNORECASE
)
# Published ids of the built-in roles, beside those of infra/roles.bicep the two that the pipeline gets.
_BUILT_IN_ROLES = {
    "blobDataOwner": "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
    "blobDataContributor": "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
    "queueDataContributor": "974c5e8b-45b9-4653-ba55-5f855dd0fb88",
    "tableDataContributor": "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",
    "secretsUser": "4633458b-17de-408a-b874-0445c86b69e6",
    "secretsOfficer": "b86a8fe4-44ce-4948-aee5-eccb2c155cd7",
    "metricsPublisher": "3913510d-42f4-4e42-8a64-420c390055eb",
}
_PIPELINE_ROLES = {"b24988ac-6180-42a0-ab88-20f7382dd24c", "f58310d9-a9f6-439a-9e8d-f62e7b41a168"}
_STORAGE_GUARDS = {
    "allowBlobPublicAccess": False,
    "allowSharedKeyAccess": False,
    "allowCrossTenantReplication": False,
    "defaultToOAuthAuthentication": True,
    "isLocalUserEnabled": False,
    "minimumTlsVersion": "TLS1_2",
    "supportsHttpsTrafficOnly": True,
    "publicNetworkAccess": Expression("publicNetworkAccess"),
}
_VAULT_GUARDS = {
    "enableRbacAuthorization": True,
    "enablePurgeProtection": True,
    "enableSoftDelete": True,
    "softDeleteRetentionInDays": 90,
    "enabledForDeployment": False,
    "enabledForDiskEncryption": False,
    "enabledForTemplateDeployment": False,
    "publicNetworkAccess": Expression("publicNetworkAccess"),
}


def no_secret_is_read_passed_or_given_out(deployment: Deployment) -> Iterator[str]:
    for path, text in deployment.texts.items():
        if path.startswith("infra/"):
            yield from (f"{path}: {found}" for found in _SECRETS.findall(text))


def storage_accounts_take_no_key_and_no_stranger(deployment: Deployment) -> Iterator[str]:
    for path, account in deployment.resources("Microsoft.Storage/storageAccounts"):
        yield from _missing(path, account.body["properties"], _STORAGE_GUARDS)


def containers_are_private(deployment: Deployment) -> Iterator[str]:
    for path, container in deployment.resources("Microsoft.Storage/storageAccounts/blobServices/containers"):
        yield from _missing(path, container.body["properties"], {"publicAccess": "None"})


def the_vault_is_guarded_by_roles_and_cannot_be_purged(deployment: Deployment) -> Iterator[str]:
    vault = deployment.resource("Microsoft.KeyVault/vaults")["properties"]
    yield from _missing("vault", vault, _VAULT_GUARDS)
    yield from (name for name in vault if name == "accessPolicies")


def reads_and_changes_of_vault_and_mail_are_noted(deployment: Deployment) -> Iterator[str]:
    audited = {body.body["scope"] for _, body in deployment.resources("Microsoft.Insights/diagnosticSettings")}
    yield from ({"vault", "blobs"} - audited)
    if "auditWorkspaceId" not in deployment.module("dataStorage"):
        yield "nobody notes who reads mail"


def roles_are_assigned_by_name_to_an_identity_on_one_resource(deployment: Deployment) -> Iterator[str]:
    for path, grant in deployment.resources("Microsoft.Authorization/roleAssignments"):
        scope, properties = grant.body.get("scope"), grant.body["properties"]
        if properties["principalType"] != "ServicePrincipal":
            yield f"{path} {grant.name}: principalType"
        if not re.fullmatch(rf"guid\({re.escape(scope or '?')}\.id, \S+, \S+\)", grant.body["name"]):
            yield f"{path} {grant.name}: its name does not follow from scope, identity and role"
        allowed = (
            {"resourceGroup()"} if path == "infra/ci-identity.bicep" else deployment.templates[path].all("resource")
        )
        if scope not in allowed:
            yield f"{path} {grant.name}: scope {scope}"


def role_ids_are_the_published_ones(deployment: Deployment) -> Iterator[str]:
    yield from {*deployment.roles.items()} ^ {*_BUILT_IN_ROLES.items()}
    known = {*_BUILT_IN_ROLES.values(), *_PIPELINE_ROLES}
    for path, text in deployment.texts.items():
        if path.endswith(".bicep"):
            yield from (f"{path}: {guid}" for guid in re.findall(r"'([0-9a-f-]{36})'", text) if guid not in known)


def the_app_holds_only_the_roles_it_needs(deployment: Deployment) -> Iterator[str]:
    data, host = deployment.module("dataStorage"), deployment.module("hostStorage")
    needed = {f"roles.{service}DataContributor" for service in _services(data)}
    if {*data["roleIds"]} != needed:
        yield f"data account: {data['roleIds']}, needed are {needed}"
    if host["roleIds"] != ["roles.blobDataOwner"] or _services(host) != {"blob"}:
        yield f"host account: {host['roleIds']}"
    if deployment.module("vault")["roleId"] != "allowSecretWrites ? roles.secretsOfficer : roles.secretsUser":
        yield "vault"
    if deployment.module("app")["settings"]["ALLOW_SECRET_WRITES"] != "string(allowSecretWrites)":
        yield "the setting that goes with the right to write secrets"


def the_pipeline_can_assign_only_what_the_app_gets(deployment: Deployment) -> Iterator[str]:
    identity = deployment.templates["infra/ci-identity.bicep"]
    if identity.all("variable")["assignable"].body != "join(map(items(roles), each => each.value), ', ')":
        yield "assignable"
    for name in ("write", "delete"):
        if "GuidEquals {${assignable}}" not in identity.all("variable")[name].body:
            yield f"{name} is not limited"
    if identity.all("resource")["assign"].body["properties"].get("condition") != "'(${write}) AND (${delete})'":
        yield "the right to assign roles has no condition"


def the_site_takes_https_and_its_identity_only(deployment: Deployment) -> Iterator[str]:
    site = deployment.resource("Microsoft.Web/sites")
    storage = site["properties"]["functionAppConfig"]["deployment"]["storage"]
    yield from _missing("site", site["properties"], {"httpsOnly": True})
    yield from _missing("siteConfig", site["properties"]["siteConfig"], {"minTlsVersion": "1.2"})
    yield from _missing("identity", site["identity"], {"type": "UserAssigned"})
    yield from _missing("package", storage["authentication"], {"type": "UserAssignedIdentity"})


def the_site_takes_no_publishing_password(deployment: Deployment) -> Iterator[str]:
    kind = "Microsoft.Web/sites/basicPublishingCredentialsPolicies"
    refused = {body.body["name"] for _, body in deployment.resources(kind) if body.body["properties"]["allow"] is False}
    yield from {"scm", "ftp"} - refused


def sign_in_leaves_out_only_what_has_a_guard_of_its_own(deployment: Deployment) -> Iterator[str]:
    auth = deployment.resource("Microsoft.Web/sites/config", "authsettingsV2")["properties"]
    yield from {*auth["globalValidation"]["excludedPaths"]} ^ {"/api/health", *app.keyless_paths()}
    if auth["globalValidation"]["requireAuthentication"] != "isSignInOn":
        yield "whoever has not signed in is let through"


def telemetry_is_taken_from_identities_only(deployment: Deployment) -> Iterator[str]:
    yield from _missing(
        "component", deployment.resource("Microsoft.Insights/components")["properties"], {"DisableLocalAuth": True}
    )
    workspace = deployment.resource("Microsoft.OperationalInsights/workspaces")["properties"]
    yield from _missing("workspace", workspace["features"], {"disableLocalAuth": True})


def an_isolated_network_covers_every_service_in_use(deployment: Deployment) -> Iterator[str]:
    zones = {*deployment.templates["infra/modules/network.bicep"].all("output")["zoneIds"].body}
    groups = {
        *deployment.templates["infra/modules/private-endpoint.bicep"].all("parameter")["groupId"].decorators["allowed"]
    }
    used = {"vault", *_services(deployment.module("dataStorage")), *_services(deployment.module("hostStorage"))}
    yield from (f"{each} has no zone or no endpoint" for each in used ^ (zones & groups))
    for name in ("hostStorage", "dataStorage", "vault"):
        given = deployment.module(name)
        expected = {each: Expression(each) for each in ("publicNetworkAccess", "endpointSubnetId", "zoneIds")}
        yield from _missing(name, given, expected)


def _services(storage: dict) -> set[str]:
    kinds = {"blob": "containers", "table": "tables", "queue": "queues"}
    return {service for service, parameter in kinds.items() if storage.get(parameter)}


def _missing(where: str, given: dict, expected: dict) -> Iterator[str]:
    yield from (
        f"{where}: {name} is {given.get(name)!r}" for name, value in expected.items() if given.get(name) != value
    )


_STORAGE, _APP, _CI = "infra/modules/storage.bicep", "infra/modules/function-app.bicep", "infra/ci-identity.bicep"
RULES = {
    no_secret_is_read_passed_or_given_out: (
        _STORAGE,
        "account.properties.primaryEndpoints.blob",
        "account.listKeys().keys[0].value",
    ),
    storage_accounts_take_no_key_and_no_stranger: (
        _STORAGE,
        "allowSharedKeyAccess: false",
        "allowSharedKeyAccess: true",
    ),
    containers_are_private: (_STORAGE, "publicAccess: 'None'", "publicAccess: 'Blob'"),
    the_vault_is_guarded_by_roles_and_cannot_be_purged: (
        "infra/modules/key-vault.bicep",
        "    enablePurgeProtection: true\n",
        "",
    ),
    reads_and_changes_of_vault_and_mail_are_noted: (
        "infra/main.bicep",
        "    auditWorkspaceId: monitoring.outputs.workspaceId\n",
        "",
    ),
    roles_are_assigned_by_name_to_an_identity_on_one_resource: (
        _STORAGE,
        "guid(account.id, principalId, roleId)",
        "newGuid()",
    ),
    role_ids_are_the_published_ones: ("infra/roles.bicep", "b7e6dc6d", "b7e6dc6e"),
    the_app_holds_only_the_roles_it_needs: ("infra/main.bicep", "[roles.blobDataContributor,", "[roles.blobDataOwner,"),
    the_pipeline_can_assign_only_what_the_app_gets: (_CI, "    condition: '(${write}) AND (${delete})'\n", ""),
    the_site_takes_https_and_its_identity_only: (_APP, "httpsOnly: true", "httpsOnly: false"),
    the_site_takes_no_publishing_password: (_APP, "    allow: false", "    allow: true"),
    sign_in_leaves_out_only_what_has_a_guard_of_its_own: (_APP, "['/api/health', ", "['/api/health', '/api/tickets', "),
    telemetry_is_taken_from_identities_only: (
        "infra/modules/monitoring.bicep",
        "DisableLocalAuth: true",
        "DisableLocalAuth: false",
    ),
    an_isolated_network_covers_every_service_in_use: (
        "infra/modules/network.bicep",
        "  queue: resourceId",
        "  file: resourceId",
    ),
}
