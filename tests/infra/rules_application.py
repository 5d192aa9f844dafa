"""What the application uses, the deployment knows; and the other way round. A rule yields what breaks it."""

import re
from collections.abc import Iterator

from shared.telemetry import Event
from tests.infra import app
from tests.infra.bicep import Expression
from tests.infra.deployment import ROOT, Deployment

# Written for the host, not for the app.
_FOR_THE_HOST = re.compile(
    r"AzureWebJobsStorage__\w+|APPLICATIONINSIGHTS_\w+|OTEL_\w+|PYTHON_\w+|AZURE_CLIENT_ID|OVERRIDE_USE_MI_\w+"
)
# Refused or dangerous on Flex Consumption.
_NEVER = re.compile(
    r"""^\s*'?(
        FUNCTIONS_WORKER_RUNTIME | FUNCTIONS_WORKER_RUNTIME_VERSION | FUNCTIONS_EXTENSION_VERSION |
        FUNCTIONS_MAX_HTTP_CONCURRENCY | FUNCTIONS_WORKER_PROCESS_COUNT |
        FUNCTIONS_WORKER_DYNAMIC_CONCURRENCY_ENABLED | SCM_DO_BUILD_DURING_DEPLOYMENT | ENABLE_ORYX_BUILD |
        WEBSITE_RUN_FROM_PACKAGE | WEBSITE_CONTENTSHARE | WEBSITE_CONTENTAZUREFILECONNECTIONSTRING |
        WEBSITE_CONTENTOVERVNET | WEBSITE_DNS_SERVER | WEBSITE_MAX_DYNAMIC_APPLICATION_SCALE_OUT |
        WEBSITE_MOUNT_ENABLED | WEBSITE_NODE_DEFAULT_VERSION | WEBSITE_SKIP_CONTENTSHARE_VALIDATION |
        WEBSITE_VNET_ROUTE_ALL | WEBSITE_TIME_ZONE | TZ | PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY |
        APPINSIGHTS_INSTRUMENTATIONKEY | alwaysOn | containerSize | ftpsState | isReserved | linuxFxVersion |
        vnetRouteAllEnabled | vnetContentShareEnabled | vnetImagePullEnabled | preWarmedInstanceCount |
        functionAppScaleLimit | use32BitWorkerProcess | siteUpdateStrategy
    )'?\s*:""",
    re.MULTILINE | re.IGNORECASE | re.VERBOSE,
)


def every_setting_that_is_read_is_written(deployment: Deployment) -> Iterator[str]:
    yield from app.settings_to_write() - deployment.settings


def every_setting_that_is_written_is_read(deployment: Deployment) -> Iterator[str]:
    of_triggers = {f"{name}__{part}" for name in app.CONNECTIONS for part in ("credential", "clientId")}
    written = {name for name in deployment.settings if not _FOR_THE_HOST.fullmatch(name)}
    yield from written - app.settings_to_write() - of_triggers


def every_trigger_signs_in_with_the_identity(deployment: Deployment) -> Iterator[str]:
    for connection in app.CONNECTIONS | {"AzureWebJobsStorage"}:
        yield from {f"{connection}__{part}" for part in ("credential", "clientId")} - deployment.settings
    for connection in app.CONNECTIONS:
        yield from {f"{connection}__queueServiceUri"} - deployment.settings


def settings_that_flex_consumption_refuses_are_not_set(deployment: Deployment) -> Iterator[str]:
    for path, text in deployment.texts.items():
        if path.startswith("infra/"):
            yield from _NEVER.findall(text)


def tables_containers_and_queues_in_use_are_created_and_no_others(deployment: Deployment) -> Iterator[str]:
    data = deployment.module("dataStorage")
    yield from app.TABLES ^ {*data["tables"]}
    yield from app.CONTAINERS ^ {*data["containers"]}
    yield from app.queues() ^ {*data["queues"]}


def raw_mail_expires(deployment: Deployment) -> Iterator[str]:
    data = deployment.module("dataStorage")
    if data["expiringContainer"] not in app.CONTAINERS or data["expireAfterDays"] != "rawMailRetentionDays":
        yield "raw mail is kept for ever"


def there_are_four_alerts_and_each_listens_for_events_that_exist(deployment: Deployment) -> Iterator[str]:
    if len(deployment.alerts) != 4:
        yield f"{len(deployment.alerts)} alerts"
    for alert in deployment.alerts:
        named = set(re.findall(r"'(\w+\.\w+)'", alert["query"]))
        yield from (f"{alert['name']}: {name}" for name in named - {*Event})
        if not named:
            yield f"{alert['name']} listens for nothing"


def silence_raises_an_alert(deployment: Deployment) -> Iterator[str]:
    (query,) = [each["query"] for each in deployment.alerts if each["name"] == "polling-stopped"]
    if f"ticks = countif(event == '{Event.POLLS_SCHEDULED}')" not in query or "ticks == 0" not in query:
        yield "no tick, no alert"


def the_runbook_knows_every_alert_and_every_event(deployment: Deployment) -> Iterator[str]:
    runbook = deployment.texts["docs/runbook.md"]
    yield from {f"## {alert['name']}" for alert in deployment.alerts} ^ set(
        re.findall(r"^## [a-z-]+$", runbook, re.MULTILINE)
    )
    yield from {*Event} ^ set(re.findall(r"^\| `([\w.]+)` \|", runbook, re.MULTILINE))


def no_sampling_drops_an_event(deployment: Deployment) -> Iterator[str]:
    """In the host's OpenTelemetry mode host.json's own sampling does nothing, and the exporter samples unless told."""
    if (
        deployment.host_json.get("telemetryMode") != "OpenTelemetry"
        or "applicationInsights" in deployment.host_json["logging"]
    ):
        yield "host.json: telemetryMode"
    appended = deployment.resource("Microsoft.Web/sites/config", "appsettings")["properties"]
    for setting in ("OTEL_TRACES_SAMPLER: 'microsoft.fixed_percentage'", "OTEL_TRACES_SAMPLER_ARG: '1.0'"):
        if setting not in appended:
            yield setting
    component = deployment.resource("Microsoft.Insights/components")["properties"]
    if component["SamplingPercentage"] != 100:
        yield "the component samples"


def events_pass_the_log_levels_of_the_host(deployment: Deployment) -> Iterator[str]:
    """An event reaches the host under the category `Function.<name>.User`."""
    levels = deployment.host_json["logging"]["logLevel"]
    for name in app.FUNCTIONS:
        category = f"Function.{name}.User"
        closest = max((each for each in levels if category.startswith(each)), key=len, default="default")
        if levels.get(closest) not in ("Information", "Debug", "Trace"):
            yield f"{category}: {levels.get(closest)}"


def an_instance_runs_as_many_polls_as_it_takes_from_the_queue(deployment: Deployment) -> Iterator[str]:
    queues = deployment.host_json["extensions"]["queues"]
    at_once = queues["batchSize"] + queues["newBatchThreshold"]
    written = deployment.resource("Microsoft.Web/sites/config", "appsettings")["properties"]
    if f"PYTHON_THREADPOOL_THREAD_COUNT: '{at_once}'" not in written:
        yield f"{at_once} at once"
    if (
        f"runs {at_once} polls at once"
        not in deployment.main.all("parameter")["instanceMemoryMB"].decorators["description"]
    ):
        yield "the reason of the memory size"


def one_version_of_python_everywhere(deployment: Deployment) -> Iterator[str]:
    version = deployment.texts[".python-version"].strip()
    site = deployment.resource("Microsoft.Web/sites")["properties"]["functionAppConfig"]["runtime"]
    if site != {"name": "python", "version": Expression("pythonVersion")}:
        yield "runtime of the site"
    if deployment.templates["infra/modules/function-app.bicep"].all("variable")["pythonVersion"].body != version:
        yield "infra/modules/function-app.bicep"
    for step in deployment.workflows["deploy"]["jobs"]["package"]["steps"]:
        if "setup-python" in step.get("uses", "") and step["with"]["python-version"] != version:
            yield "deploy.yml"
    tested = deployment.workflows["ci"]["jobs"]["test"]["strategy"]["matrix"]["python"]
    oldest = re.search(r'requires-python = ">=([\d.]+)"', (ROOT / "pyproject.toml").read_text())[1]
    if tested[0] != oldest or tested[-1] != version:
        yield f"ci.yml tests {tested}"


_MAIN, _APP, _ALERTS = "infra/main.bicep", "infra/modules/function-app.bicep", "infra/modules/alerts.bicep"
RULES = {
    every_setting_that_is_read_is_written: (_MAIN, "      KEY_VAULT_URI: vault.outputs.uri\n", ""),
    every_setting_that_is_written_is_read: (_MAIN, "KEY_VAULT_URI:", "KEYVAULT_URI:"),
    every_trigger_signs_in_with_the_identity: (_MAIN, "      DATA_STORAGE__credential: 'managedidentity'\n", ""),
    settings_that_flex_consumption_refuses_are_not_set: (_MAIN, "KEY_VAULT_URI:", "FUNCTIONS_WORKER_RUNTIME:"),
    tables_containers_and_queues_in_use_are_created_and_no_others: (_MAIN, "'polls', 'polls-poison'", "'polls'"),
    raw_mail_expires: (_MAIN, "expireAfterDays: rawMailRetentionDays", "expireAfterDays: 0"),
    there_are_four_alerts_and_each_listens_for_events_that_exist: (
        _ALERTS,
        "'message.quarantined'",
        "'message.dead_lettered'",
    ),
    silence_raises_an_alert: (_ALERTS, "ticks == 0 or ", ""),
    the_runbook_knows_every_alert_and_every_event: ("docs/runbook.md", "| `poll.failed` |", "| `poll.broke` |"),
    no_sampling_drops_an_event: (_APP, "      OTEL_TRACES_SAMPLER: 'microsoft.fixed_percentage'\n", ""),
    events_pass_the_log_levels_of_the_host: ("host.json", '"default": "Information"', '"default": "Warning"'),
    an_instance_runs_as_many_polls_as_it_takes_from_the_queue: ("host.json", '"batchSize": 8', '"batchSize": 16'),
    one_version_of_python_everywhere: (".python-version", "3.13", "3.12"),
}
