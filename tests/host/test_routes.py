import pytest

from local.host.engine import Function, HostError
from local.host.routes import routes_of


def http(name: str, route: str, *methods: str) -> Function:
    trigger = {"type": "httpTrigger", "name": "req", "route": route}
    return Function(name, ({**trigger, "methods": methods} if methods else trigger,))


def matched(route: str, path: str, method: str = "GET", prefix: str = "api") -> dict[str, str] | None:
    (only,) = routes_of([http("f", route)], prefix)
    return only.match(method, path)


@pytest.mark.parametrize(
    ("route", "path", "values"),
    [
        ("items", "/api/items", {}),
        ("items", "/API/Items/", {}),
        ("items/{id}", "/api/items/a%20b", {"id": "a b"}),
        ("items/{id:int}", "/api/items/-12", {"id": "-12"}),
        ("items/{id?}", "/api/items", {}),
        ("items/{id?}", "/api/items/3", {"id": "3"}),
        ("{*path}", "/api", {}),
        ("{*path}", "/api/", {}),
        ("{*path}", "/api/a/b.c", {"path": "a/b.c"}),
        ("a/{b}/c/{*rest}", "/api/a/x/c/d/e", {"b": "x", "rest": "d/e"}),
    ],
)
def test_a_route_matches_and_gives_its_values(route: str, path: str, values: dict[str, str]):
    assert matched(route, path) == values


@pytest.mark.parametrize(
    ("route", "path"),
    [
        ("items", "/items"),
        ("items", "/api/itemsx"),
        ("items.json", "/api/itemsxjson"),
        ("items/{id}", "/api/items/"),
        ("items/{id}", "/api/items/3/4"),
        ("items/{id:int}", "/api/items/three"),
        ("{*path}", "/apiary"),
    ],
)
def test_a_route_does_not_match_what_only_looks_like_it(route: str, path: str):
    assert matched(route, path) is None


def test_without_a_prefix_a_route_begins_at_the_root():
    assert matched("{*path}", "/", prefix="") == {}
    assert matched("hooks/graph", "/hooks/graph", prefix="") == {}


def test_only_the_listed_methods_match():
    (only,) = routes_of([http("f", "items", "get", "POST")], "api")

    assert only.match("GET", "/api/items") == {}
    assert only.match("POST", "/api/items") == {}
    assert only.match("HEAD", "/api/items") is None


def test_routes_are_tried_in_the_order_of_function_names_however_specific_they_are():
    functions = [http("zoo", "items/special"), http("Api", "items/{id}"), http("_x", "x"), http("console", "{*path}")]

    assert [route.function.name for route in routes_of(functions, "")] == ["Api", "console", "zoo", "_x"]


@pytest.mark.parametrize("route", ["items/{id:guid}", "items/{a}-{b}", "items/{id=3}"])
def test_a_template_that_the_host_does_not_know_is_refused(route: str):
    with pytest.raises(HostError, match="does not know"):
        routes_of([http("f", route)], "api")
