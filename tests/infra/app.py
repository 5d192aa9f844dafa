"""What the application needs of its deployment, read from its code."""

import re
from typing import Any

import function_app
from shared.adapters.storage import clients
from shared.settings import NAMES

FUNCTIONS: dict[str, list[dict[str, Any]]] = {
    function.get_function_name(): [binding.get_dict_repr() for binding in function.get_bindings()]
    for function in function_app.app.get_functions()
}
BINDINGS = [binding for bindings in FUNCTIONS.values() for binding in bindings]
TABLES = set(clients.TABLES)
CONTAINERS = {value for name, value in vars(clients).items() if name.endswith("_CONTAINER")}
CONNECTIONS = {binding["connection"] for binding in BINDINGS if "connection" in binding}


def settings_to_write() -> set[str]:
    """Every setting but those for this machine alone."""
    named_in_bindings = {name for binding in BINDINGS for name in re.findall(r"%(\w+)%", str(binding))}
    return named_in_bindings | {name for name, purpose in NAMES.items() if "local only" not in purpose}


def queues() -> set[str]:
    """Those sent to and those listened to; beside the latter the host keeps a queue for what always fails."""
    sent = {value for name, value in vars(clients).items() if name.endswith("_QUEUE")}
    triggers = {binding["queueName"] for binding in BINDINGS if binding["type"] == "queueTrigger"}
    return sent | triggers | {f"{name}-poison" for name in triggers}


def keyless_paths() -> set[str]:
    """Fixed paths that other services call without a function key."""
    http = [binding for binding in BINDINGS if binding["type"] == "httpTrigger"]
    open_to_all = [binding["route"] for binding in http if str(binding["authLevel"]).lower().endswith("anonymous")]
    return {f"/{route}" for route in open_to_all if "{" not in route}
