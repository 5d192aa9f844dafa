"""The deployment keeps every rule, and every rule can tell: one thing changed, and it is broken."""

from collections.abc import Callable, Iterator

import pytest

from tests.infra import rules_application, rules_security, rules_structure
from tests.infra.deployment import Deployment

RULES = {**rules_security.RULES, **rules_application.RULES, **rules_structure.RULES}
Rule = Callable[[Deployment], Iterator[str]]


@pytest.fixture(scope="module")
def deployment() -> Deployment:
    return Deployment.of_this_project()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_deployment_keeps_the_rule(deployment: Deployment, rule: Rule):
    assert [*rule(deployment)] == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_rule_notices_a_breach(deployment: Deployment, rule: Rule):
    path, old, new = RULES[rule]

    assert [*rule(deployment.changed(path, old, new))] != []
