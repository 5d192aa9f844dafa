import socket
from collections.abc import Iterator

import httpx
import pytest

from tests.host.conftest import StartHost
from tests.host.sample import write_app

MEGABYTE = 1024 * 1024


def test_a_function_is_given_the_request_and_its_answer_is_passed_on(
    start_host: StartHost, client: httpx.Client, engine
):
    host = start_host(engine=engine)

    answer = client.post(
        f"{host.url}/api/items/caf%C3%A9/7?q=1&q=2&empty=",
        content="body",
        headers={"x-functions-key": host.key, "X-Asked": "why"},
    )

    assert (answer.status_code, answer.headers["x-answer"]) == (201, "yes")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "route": {"name": "café", "id": "7"},
        "query": {"q": "1,2", "empty": ""},
        "body": "body",
        "header": "why",
        "function": "echo",
        "method": "POST",
    }


def test_a_function_that_returns_text_answers_with_it(start_host: StartHost, client: httpx.Client, engine):
    host = start_host(engine=engine)

    answer = client.post(f"{host.url}/api/size", content=b"12345")

    assert (answer.status_code, answer.text) == (200, "5")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


def test_an_async_function_serves_an_asgi_application(start_host: StartHost, client: httpx.Client, engine):
    host = start_host(engine=engine)

    answer = client.put(f"{host.url}/api/web/a/b?c=d", content="body")

    assert answer.json() == ["PUT", "/api/web/a/b", "c=d", "body"]


@pytest.mark.parametrize(("path", "method"), [("/api/nowhere", "GET"), ("/size", "GET"), ("/api/items/a/7", "GET")])
def test_an_unknown_path_and_a_wrong_method_are_not_found(start_host: StartHost, client, path: str, method: str):
    host = start_host()

    answer = client.request(method, host.url + path, headers={"x-functions-key": host.key})

    assert (answer.status_code, answer.content) == (404, b"")


def test_a_function_key_opens_functions_but_not_what_is_for_administrators(start_host: StartHost, client: httpx.Client):
    host = start_host(key="k", master_key="m")

    def status(method: str, path: str, **headers: str) -> int:
        return client.request(method, f"{host.url}/api/{path}", headers=headers).status_code

    assert status("POST", "items/a/1", **{"x-functions-key": "k"}) == 201
    assert status("POST", "items/a/1?code=k") == 201
    assert status("POST", "items/a/1", **{"x-functions-key": "m"}) == 201
    assert status("POST", "items/a/1") == 401
    assert status("POST", "items/a/1?code=wrong") == 401
    assert status("GET", "secret", **{"x-functions-key": "m"}) == 200
    assert status("GET", "secret", **{"x-functions-key": "k"}) == 401


def test_a_refused_request_is_answered_without_a_body_and_the_connection_stays_usable(start_host, client: httpx.Client):
    host = start_host()

    refused = client.post(f"{host.url}/api/items/a/1", content=b"x" * MEGABYTE)

    assert (refused.status_code, refused.content) == (401, b"")
    assert client.get(f"{host.url}/api/size").text == "0"


def test_an_exception_is_an_error_500_and_is_logged_with_its_function(start_host: StartHost, client, caplog, engine):
    host = start_host(engine=engine)

    answer = client.get(f"{host.url}/api/boom")

    assert (answer.status_code, answer.content) == (500, b"")
    (failure,) = [record for record in caplog.records if record.name == "host" and record.levelname == "ERROR"]
    assert failure.getMessage().startswith("boom ")
    assert "ValueError: boom" in caplog.text
    assert client.get(f"{host.url}/api/size").status_code == 200


@pytest.mark.parametrize("path", ["nothing", "cookie"])
def test_an_answer_that_cannot_be_passed_on_is_an_error(start_host: StartHost, client: httpx.Client, engine, path: str):
    host = start_host(engine=engine)

    assert client.get(f"{host.url}/api/{path}").status_code == 500


def test_an_answer_without_content_and_one_to_head_have_no_body(start_host: StartHost, client: httpx.Client):
    host = start_host()

    empty, head = client.get(f"{host.url}/api/empty"), client.head(f"{host.url}/api/size")

    assert (empty.status_code, empty.content, "content-length" in empty.headers) == (204, b"", False)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "1")
    assert client.get(f"{host.url}/api/size").text == "0"


def test_a_body_may_come_in_pieces(start_host: StartHost, client: httpx.Client):
    host = start_host()

    answer = client.post(f"{host.url}/api/size", content=pieces(3))

    assert answer.text == str(3 * MEGABYTE)


def test_a_body_over_a_hundred_megabytes_is_refused(start_host: StartHost, client: httpx.Client):
    host = start_host()

    assert client.post(f"{host.url}/api/size", content=pieces(101)).status_code == 413
    assert client.get(f"{host.url}/api/size").text == "0"


def pieces(count: int) -> Iterator[bytes]:
    yield from (b"x" * MEGABYTE for _ in range(count))


def test_a_sender_that_breaks_off_does_no_harm(start_host: StartHost, client: httpx.Client):
    host = start_host()
    address = httpx.URL(host.url)

    with socket.create_connection((address.host, address.port)) as connection:
        connection.sendall(b"POST /api/size HTTP/1.1\r\nContent-Length: 10\r\n\r\n123")

    assert client.get(f"{host.url}/api/size").text == "0"


def test_only_this_machine_can_connect(start_host: StartHost):
    host = start_host()

    assert host._web.server_address[0] == "127.0.0.1"


def test_the_prefix_of_host_json_may_be_empty(start_host: StartHost, client: httpx.Client, tmp_path):
    host = start_host(write_app(tmp_path / "app", host={"version": "2.0", "extensions": {"http": {"routePrefix": ""}}}))

    assert client.get(f"{host.url}/size").status_code == 200
    assert client.get(f"{host.url}/api/size").status_code == 404
