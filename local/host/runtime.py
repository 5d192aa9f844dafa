"""The engine of Azure itself: azure-functions-runtime, with which its Python 3.13 worker loads and runs apps.

It is driven as the worker drives it: requests shaped like the protobuf messages of the host, answers built from
the classes that come along as `protos`. It keeps its functions in module state: one app to a process at a time.
"""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from local.host.engine import Function, FunctionFailed, HostError, HttpRequest, HttpResponse, TriggerData


class _Message(SimpleNamespace):
    """A protobuf message; where the library asks which field of a oneof is set, it is the one given last."""

    def WhichOneof(self, group: str) -> str | None:  # noqa: N802, ARG002 - protobuf's name; there is one group
        return next(reversed(vars(self)), None)


class _BindingInfo(_Message):
    undefined, inout, out = 0, 2, 1


class _StatusResult(_Message):
    Failure, Success = 0, 1


_PROTOS = SimpleNamespace(
    BindingInfo=_BindingInfo,
    StatusResult=_StatusResult,
    **dict.fromkeys(
        (
            "FunctionLoadResponse",
            "FunctionMetadataResponse",
            "InvocationResponse",
            "ParameterBinding",
            "RpcException",
            "RpcFunctionMetadata",
            "RpcHttp",
            "TypedData",
            "WorkerInitResponse",
            "WorkerMetadata",
        ),
        _Message,
    ),
)


class RuntimeEngine:
    def __init__(self) -> None:
        try:
            import azure_functions_runtime  # only there from Python 3.13 on
        except ModuleNotFoundError as error:
            raise HostError("the runtime engine needs azure-functions-runtime, which needs Python 3.13") from error
        self._runtime: Any = azure_functions_runtime
        self._runtime.start_threadpool_executor()
        self._ids: dict[str, str] = {}

    async def load(self, folder: Path) -> tuple[Function, ...]:
        init = _Message(capabilities={}, function_app_directory=str(folder))
        _check(await self._runtime.worker_init_request(_request(worker_init_request=init)))
        indexed = await self._runtime.functions_metadata_request(_request())
        found = indexed.function_metadata_results or ()
        for metadata in found:
            load = _Message(function_id=metadata.function_id)
            _check(await self._runtime.function_load_request(_request(function_load_request=load)))
        self._ids = {metadata.name: metadata.function_id for metadata in found}
        return tuple(Function(metadata.name, tuple(map(json.loads, metadata.raw_bindings))) for metadata in found)

    async def invoke(self, function: Function, invocation_id: str, data: TriggerData) -> HttpResponse | None:
        value, metadata = _typed(data)
        invocation = _Message(
            invocation_id=invocation_id,
            function_id=self._ids[function.name],
            input_data=[_Message(name=function.trigger["name"], data=value)],
            trigger_metadata=metadata,
            trace_context=_Message(trace_parent="", trace_state="", attributes={}),
            retry_context=_Message(retry_count=0, max_retry_count=0, exception=None),
        )
        answer = await self._runtime.invocation_request(_request(invocation_request=invocation))
        _check(answer)
        return _response(answer.return_value) if answer.return_value else None

    def close(self) -> None:
        self._runtime.get_threadpool_executor().shutdown(wait=False, cancel_futures=True)


def _request(**message: _Message) -> _Message:
    return _Message(request=_Message(**message), properties={"host": "127.0.0.1", "protos": _PROTOS})


def _check(answer: Any) -> None:
    if answer.result.status != _StatusResult.Success:
        error = FunctionFailed(answer.result.exception.message)
        error.add_note(answer.result.exception.stack_trace)
        raise error


def _typed(data: TriggerData) -> tuple[_Message, dict[str, _Message]]:
    if not isinstance(data, HttpRequest):
        metadata = {name: _Message(json=json.dumps(value)) for name, value in data.metadata.items()}
        return _Message(**{data.kind: data.value}), metadata
    http = _Message(
        method=data.method,
        url=data.url,
        headers=data.headers,
        query=data.query,
        params=data.route,
        body=_Message(bytes=data.body),
    )
    return _Message(http=http), {}


def _response(value: Any) -> HttpResponse:
    if value.WhichOneof("data") == "string":
        return HttpResponse(200, {"content-type": "text/plain; charset=utf-8"}, value.string.encode())
    return HttpResponse(int(value.http.status_code), value.http.headers, value.http.body.bytes)
