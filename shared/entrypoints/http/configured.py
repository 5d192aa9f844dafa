"""The operations that every kind of configuration has."""

from collections.abc import Callable
from typing import Annotated, TypeVar

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel

from shared.application import configuration
from shared.application.configuration import Kind
from shared.application.ports.stores import Versioned
from shared.application.services import Services
from shared.domain.fields import Document, DocumentId
from shared.entrypoints.http.problems import described
from shared.entrypoints.http.requests import IfMatch, JsonBody, Ready, etag, json_body

BODY_ERRORS = (400, 413, 415, 422)
ETAG = {"headers": {"ETag": {"description": "the version of the configuration", "schema": {"type": "string"}}}}

D = TypeVar("D", bound=Document)


def add_operations(
    router: APIRouter, kind: Kind[D], model: type[BaseModel], shown: Callable[[Services, D], BaseModel]
) -> None:
    """Create, read, replace and delete below the prefix of the router. `shown` makes the answer, which is a `model`."""
    name, body = kind.noun.replace(" ", "_"), json_body(kind.settings.__name__)
    alias = f"{name}_id"

    def answer(services: Services, versioned: Versioned[D], response: Response) -> BaseModel:
        response.headers["ETag"] = etag(versioned.etag)
        return shown(services, versioned.value)

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
    router.post(
        "",
        name=f"create_{name}",
        status_code=201,
        response_model=model,
        openapi_extra=body,
        responses={201: ETAG, **described(*BODY_ERRORS)},
    )(create)
    router.get(one, name=f"get_{name}", response_model=model, responses={200: ETAG, **described(404)})(get)
    router.put(
        one,
        name=f"replace_{name}",
        response_model=model,
        openapi_extra=body,
        responses={200: ETAG, **described(404, 412, 428, *BODY_ERRORS)},
    )(replace)
    router.delete(one, name=f"delete_{name}", status_code=204, responses=described(404, 409, 412, 428))(delete)
