"""The description of the API: complete, true to the examples, and the one the page was built from."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from huoyan.server.api.openapi import render
from huoyan.server.ingest.wire import batch_schema

ROOT = Path(__file__).parents[4]
DOCUMENT: dict[str, Any] = json.loads(render())
OPERATIONS = [
    (f"{method.upper()} {path}", path, method, operation)
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
]


def each_operation(argument: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(argument, OPERATIONS, ids=[name for name, *_ in OPERATIONS])


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "components": DOCUMENT["components"]}


def test_the_page_is_built_from_this_description() -> None:
    stored = (ROOT / "web" / "openapi.json").read_text(encoding="utf-8")
    assert stored == render(), "run: python -m huoyan.server.api.openapi > web/openapi.json"


def test_the_schema_of_events_is_the_one_in_the_documentation() -> None:
    stored = json.loads((ROOT / "docs" / "reference" / "event.schema.json").read_text(encoding="utf-8"))
    assert stored == batch_schema(), "run: python -m huoyan.server.ingest.wire > docs/reference/event.schema.json"


def test_names_of_operations_are_unique() -> None:
    names = [operation["operationId"] for *_, operation in OPERATIONS]
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() and name[0].islower() for name in names)


@each_operation("operation")
def test_every_operation_is_described(operation: tuple[str, str, str, dict[str, Any]]) -> None:
    _, path, method, about = operation
    assert about["summary"]
    assert about["description"]
    assert set(about["tags"]) <= {tag["name"] for tag in DOCUMENT["tags"]}
    for parameter in about.get("parameters", []):
        assert parameter.get("description") or parameter["in"] == "path", parameter["name"]
    errors = {code: response for code, response in about["responses"].items() if code >= "400"}
    assert {"401", "403"} <= set(errors) or path == "/api/v1/session"
    assert ("404" in errors) == ("{" in path)
    assert ("422" in errors) == (method == "post")
    for response in errors.values():
        assert response["description"]
        assert set(response["content"]) == {"application/problem+json"}


@pytest.mark.parametrize("name", sorted(DOCUMENT["components"]["schemas"]))
def test_every_example_meets_its_schema(name: str) -> None:
    schema = DOCUMENT["components"]["schemas"][name]
    jsonschema.Draft202012Validator.check_schema(schema)
    for example in schema.get("examples", []):
        jsonschema.Draft202012Validator(resolved(schema)).validate(example)


@each_operation("operation")
def test_every_answer_has_an_example(operation: tuple[str, str, str, dict[str, Any]]) -> None:
    *_, about = operation
    ((media_type, content),) = about["responses"]["200"]["content"].items()
    if media_type == "application/json" and "$ref" in content["schema"]:
        schema = DOCUMENT["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
        assert schema["examples"]
    else:
        assert about["operationId"] in ("openStream", "getEventSchema")


def test_every_reference_leads_somewhere() -> None:
    text = json.dumps(DOCUMENT)
    names = {part.partition('"')[0] for part in text.split('"#/components/schemas/')[1:]}
    assert names <= set(DOCUMENT["components"]["schemas"])
    assert "HTTPValidationError" not in text
