"""What a compiler would say, and what azd and a pipeline need. A rule yields what breaks it."""

import json
import re
from collections.abc import Iterator

from tests.infra.deployment import Deployment
from tools import package

# The versions that the published modules of Azure are tested with.
_VERSIONS = {
    "Microsoft.Authorization/roleAssignments": "2022-04-01",
    "Microsoft.Insights/actionGroups": "2023-01-01",
    "Microsoft.Insights/components": "2020-02-02",
    "Microsoft.Insights/diagnosticSettings": "2021-05-01-preview",
    "Microsoft.Insights/scheduledQueryRules": "2023-12-01",
    "Microsoft.KeyVault/vaults": "2024-11-01",
    "Microsoft.ManagedIdentity/userAssignedIdentities": "2024-11-30",
    "Microsoft.Network/privateDnsZones": "2024-06-01",
    "Microsoft.Network/privateEndpoints": "2025-05-01",
    "Microsoft.Network/virtualNetworks": "2025-05-01",
    "Microsoft.OperationalInsights/workspaces": "2025-07-01",
    "Microsoft.Storage/storageAccounts": "2025-06-01",
    "Microsoft.Web/serverfarms": "2025-03-01",
    "Microsoft.Web/sites": "2025-03-01",
}


def bicep_parses(deployment: Deployment) -> Iterator[str]:
    for template in deployment.templates.values():
        yield from template.syntax_errors()


def every_symbol_is_declared(deployment: Deployment) -> Iterator[str]:
    for path, template in deployment.templates.items():
        yield from (f"{path}:{line}: {name}" for name, line in template.references() if name not in template.symbols())
        for name, source in template.imported().items():
            if name not in deployment.resolve(path, template, source).all("variable"):
                yield f"{path}: {source} does not export {name}"


def every_parameter_and_variable_is_used(deployment: Deployment) -> Iterator[str]:
    for path, template in deployment.templates.items():
        used = {name for name, _ in template.references()}
        for each in template.declarations:
            if each.kind in ("parameter", "variable") and each.name not in used and "export" not in each.decorators:
                yield f"{path}: {each.name}"


def modules_are_given_what_they_take(deployment: Deployment) -> Iterator[str]:
    for path, template in deployment.templates.items():
        for module in template.all("module").values():
            takes = deployment.resolve(path, template, module.target).all("parameter")
            needs = {name for name, each in takes.items() if each.body is None and not each.target.endswith("?")}
            given = {*module.body["params"]}
            yield from (f"{path} {module.name}: {name}" for name in (needs - given) | (given - takes.keys()))


def outputs_that_are_read_exist(deployment: Deployment) -> Iterator[str]:
    for path, template in deployment.templates.items():
        for module, output in re.findall(r"(\w+)!?\.outputs\.(\w+)", deployment.texts[path]):
            target = template.all("module")[module].target
            if output not in deployment.resolve(path, template, target).all("output"):
                yield f"{path}: {module}.outputs.{output}"


def resources_have_the_versions_that_were_checked(deployment: Deployment) -> Iterator[str]:
    for path, template in deployment.templates.items():
        for resource in template.all("resource").values():
            kind, version = resource.target.split("@")
            if _VERSIONS["/".join(kind.split("/")[:2])] != version:
                yield f"{path}: {resource.target}"


def every_parameter_of_the_deployment_says_what_it_is_for_and_its_limits(deployment: Deployment) -> Iterator[str]:
    limits = {"int": {"minValue", "maxValue"}, "string": {"minLength"}}
    for name, each in deployment.main.all("parameter").items():
        if "description" not in each.decorators:
            yield f"{name} has no description"
        needed = limits.get(each.target, set()) if each.body is None or each.target == "int" else set()
        if "allowed" not in each.decorators and needed - each.decorators.keys():
            yield f"{name} has no limits"


def the_parameter_file_fits(deployment: Deployment) -> Iterator[str]:
    parameters = deployment.main.all("parameter")
    given = set(re.findall(r"^param (\w+) =", deployment.texts["infra/main.bicepparam"], re.MULTILINE))
    yield from {name for name, each in parameters.items() if each.body is None} - given
    yield from given - parameters.keys()


def the_pipeline_gives_every_variable_of_the_parameter_file(deployment: Deployment) -> Iterator[str]:
    read = set(re.findall(r"readEnvironmentVariable\('(\w+)'", deployment.texts["infra/main.bicepparam"]))
    yield from read - deployment.workflows["deploy"]["jobs"]["deploy"]["env"].keys()


def the_linter_fails_the_build(deployment: Deployment) -> Iterator[str]:
    rules = json.loads(deployment.texts["infra/bicepconfig.json"])["analyzers"]["core"]["rules"]
    for name in (
        "no-unused-params",
        "no-unused-vars",
        "outputs-should-not-contain-secrets",
        "secure-secrets-in-params",
    ):
        if rules[name]["level"] != "error":
            yield name


def azd_finds_the_site_and_the_package(deployment: Deployment) -> Iterator[str]:
    ((name, service),) = deployment.azd["services"].items()
    if f"'azd-service-name': '{name}'" not in deployment.resource("Microsoft.Web/sites")["tags"]:
        yield "azd-service-name"
    if service["dist"] != "dist/app" or service["remoteBuild"] or not package.CONTENTS:
        yield "azd does not deploy what make package builds"


def actions_are_pinned_and_tell_their_version(deployment: Deployment) -> Iterator[str]:
    for path, text in deployment.texts.items():
        if path.startswith(".github/workflows/"):
            used = re.findall(r"uses: (.*)", text)
            yield from (
                each for each in used if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+|\./\S+", each)
            )


def workflows_have_no_right_that_they_do_not_need(deployment: Deployment) -> Iterator[str]:
    for name, workflow in deployment.workflows.items():
        if workflow["permissions"] not in ({}, {"contents": "read"}):
            yield f"{name}: {workflow['permissions']}"
        if "concurrency" not in workflow:
            yield f"{name}: concurrency"
        for job, body in workflow["jobs"].items():
            yield from (f"{name} {job}: {right}" for right in _rights(body) if job != "deploy")
            yield from (f"{name} {job} keeps its token" for step in body.get("steps", []) if _keeps_its_token(step))


def only_the_guarded_environment_can_deploy(deployment: Deployment) -> Iterator[str]:
    job = deployment.workflows["deploy"]["jobs"]["deploy"]
    identity = deployment.templates["infra/ci-identity.bicep"]
    if job["environment"] != identity.all("parameter")["githubEnvironment"].body:
        yield "environment"
    credential = deployment.resource("Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials")
    if credential["properties"]["subject"] != "'repo:${repository}:environment:${githubEnvironment}'":
        yield "subject"
    if not {"check", "package"} <= {*job["needs"]}:
        yield "it deploys what was not checked"


def a_deployment_is_smoke_tested(deployment: Deployment) -> Iterator[str]:
    if deployment.workflows["deploy"]["jobs"]["deploy"]["steps"][-1].get("run") != "tools/smoke-test":
        yield "the last step is no smoke test"


def _rights(job: dict) -> set[str]:
    return {right for right, level in job.get("permissions", {}).items() if (right, level) != ("contents", "read")}


def _keeps_its_token(step: dict) -> bool:
    return "checkout" in step.get("uses", "") and step.get("with", {}).get("persist-credentials") is not False


_MAIN, _CI, _DEPLOY = "infra/main.bicep", ".github/workflows/ci.yml", ".github/workflows/deploy.yml"
RULES = {
    bicep_parses: (_MAIN, "tags: tags\n}", "tags: \n}"),
    every_symbol_is_declared: (_MAIN, "queueEndpoint\n", "queueEndpoint\n      MORE: '${nothing}'\n"),
    every_parameter_and_variable_is_used: (
        "infra/modules/storage.bicep",
        "GreaterThan: expireAfterDays",
        "GreaterThan: 30",
    ),
    modules_are_given_what_they_take: (_MAIN, "    email: alertEmail\n", ""),
    outputs_that_are_read_exist: (_MAIN, "vault.outputs.uri", "vault.outputs.url"),
    resources_have_the_versions_that_were_checked: (
        "infra/modules/storage.bicep",
        "queues@2025-06-01",
        "queues@2026-04-01",
    ),
    every_parameter_of_the_deployment_says_what_it_is_for_and_its_limits: (_MAIN, "@maxValue(1000)\n", ""),
    the_parameter_file_fits: ("infra/main.bicepparam", "param alertEmail =", "param alertMail ="),
    the_pipeline_gives_every_variable_of_the_parameter_file: (_DEPLOY, "ALERT_EMAIL:", "ALERT_MAIL:"),
    the_linter_fails_the_build: (
        "infra/bicepconfig.json",
        '"no-unused-params": { "level": "error" }',
        '"no-unused-params": { "level": "off" }',
    ),
    azd_finds_the_site_and_the_package: ("azure.yaml", "  app: ", "  api: "),
    actions_are_pinned_and_tell_their_version: (_CI, "@de0fac2e4500dabe0009e67214ff5f5447ce83dd # v6.0.2", "@v6"),
    workflows_have_no_right_that_they_do_not_need: (_CI, "persist-credentials: false", "persist-credentials: true"),
    only_the_guarded_environment_can_deploy: (_DEPLOY, "environment: production", "environment: test"),
    a_deployment_is_smoke_tested: (_DEPLOY, "run: tools/smoke-test", "run: echo done"),
}
