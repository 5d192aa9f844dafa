"""What Azure loads. It only wires: the functions are in `shared.entrypoints`."""

import azure.functions as func

from shared.entrypoints import http, queues, timers

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)
for blueprint in (timers.blueprint, queues.blueprint, http.blueprint):
    app.register_functions(blueprint)
