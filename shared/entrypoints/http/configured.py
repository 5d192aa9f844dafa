"""The operations that every kind of configuration has."""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel

from shared.application import configuration
from shared.application.configuration import Kind
from shared.application.ports.stores import Versioned
from shared.application.services import Services
from shared.domain.fields import Document, DocumentId
from shared.entrypoints.http.answers import ETAG, with_etag
from shared.entrypoints.http.problems import described
from shared.entrypoints.http.requests import IfMatch, JsonBody, Ready, json_body

D = TypeVar("D", bound=Document)


def add_operations(
    router: APIRouter, kind: Kind[D], model: type[BaseModel], shown: Callable[[Services, D], BaseModel]
) -> None:
    """Create, read, replace and delete below the prefix of the router. `shown` makes the answer, which is a `model`."""
    name, body = kind.noun.replace(" ", "_"), json_body(kind.settings)
    alias = f"{name}_id"

    def answer(services: Services, versioned: Versioned[D], response: Response) -> BaseModel:
        return shown(services, with_etag(response, versioned))

    def create(data: JsonBody, services: Ready, response: Response) -> BaseModel:
        """Its id is made from its name and never changes."""
        created = configuration.create(services, kind, data)
        response.headers["Location"] = f"{router.prefix}/{created.value.id}"
        return answer(services, created, response)

    def get(document_id: Annotated[DocumentId, Path(alias=alias)], services: Ready, response: Response) -> BaseModel:
        """The ETag is that of the configuration; what else is shown changes without it."""
        return answer(services, configuration.find(services, kind, document_id), response)

    def replace(
        document_id: Annotated[DocumentId, Path(alias=alias)],
        if_match: IfMatch,
        data: JsonBody,
        services: Ready,
        response: Response,
    ) -> BaseModel:
        """All settings are replaced; what is left out gets its default. What an answer shows beside the settings is
        ignored, so that an answer can be sent back with changes.
        """
        current = configuration.find(services, kind, document_id)
        if_match.require(current.etag)
        return answer(services, configuration.replace(services, kind, current, data), response)

    def delete(document_id: Annotated[DocumentId, Path(alias=alias)], if_match: IfMatch, services: Ready) -> None:
        current = configuration.find(services, kind, document_id)
        if_match.require(current.etag)
        configuration.delete(services, kind, current)

    one = f"/{{{alias}}}"
    found: dict[str, Any] = {"response_model": model, "responses": {200: ETAG}}
    made: dict[str, Any] = {"response_model": model, "responses": {201: ETAG}, "status_code": 201}
    router.post("", name=f"create_{name}", openapi_extra=body, **made)(create)
    router.get(one, name=f"get_{name}", **found)(get)
    router.put(one, name=f"replace_{name}", openapi_extra=body, **found)(replace)
    router.delete(one, name=f"delete_{name}", status_code=204, responses=described(409))(delete)
