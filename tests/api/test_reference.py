"""The HTTP reference says what an OpenAPI document says."""

import re

import httpx
import pytest

from app.api.reference import ErrorNote, render, type_of

DOCUMENT = {
    "info": {"title": "membudget", "version": "1.2.3"},
    "paths": {
        "/allocate": {
            "post": {
                "tags": ["Budgets"],
                "summary": "Ask for a budget",
                "parameters": [
                    {
                        "name": "Idempotency-Key",
                        "in": "header",
                        "schema": {"type": "string", "maxLength": 200},
                        "description": "A repeat | with it\nmakes no second thing.",
                    }
                ],
                "requestBody": {
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/Request"}}
                    }
                },
                "responses": {"201": {"description": "Created", "content": {}}},
            }
        },
        "/usage": {"get": {"responses": {"200": {"description": "Events"}}}},
    },
    "components": {
        "schemas": {
            "Request": {
                "type": "object",
                "description": "What is asked for.",
                "required": ["agent"],
                "properties": {
                    "agent": {"type": "string", "description": "Who asks.", "examples": ["dbt"]},
                    "max_tokens": {
                        "anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}],
                        "default": None,
                        "description": "Tokens.",
                    },
                },
            }
        }
    },
}


def test_operations_stand_under_their_subject() -> None:
    text = render(DOCUMENT)
    assert text.index("## Budgets") < text.index("### `POST /allocate`")
    assert text.index("## usage") < text.index("### `GET /usage`")


def test_a_field_is_told_with_type_default_and_meaning() -> None:
    text = render(DOCUMENT)
    assert '| `agent` | string | required | Who asks. Such as `"dbt"`. |' in text
    assert "| `max_tokens` | integer, ≥ 0 or null | `null` | Tokens. |" in text


def test_a_cell_of_a_table_stays_one_cell() -> None:
    text = render(DOCUMENT)
    assert "A repeat \\| with it makes no second thing." in text


def test_error_codes_are_told_with_their_status() -> None:
    text = render(DOCUMENT, errors=[ErrorNote(code="not_found", status=404, meaning="no such")])
    assert "| `not_found` | 404 | no such |" in text
    assert "## Errors" not in render(DOCUMENT)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"$ref": "#/components/schemas/A_b"}, "[A_b](#a_b)"),
        ({"type": "array", "items": {"type": "integer", "maximum": 9}}, "list of integer, ≤ 9"),
        ({"enum": ["soft", "hard"]}, '`"soft"` · `"hard"`'),
        ({"const": True}, "`true`"),
        ({"type": ["string", "null"]}, "string or null"),
        ({"type": "string", "format": "date-time"}, "string (date-time)"),
        ({"type": "object", "additionalProperties": {"type": "number"}}, "map of number"),
        ({"type": "object", "additionalProperties": True}, "object"),
        ({"type": "array", "prefixItems": [{"type": "string"}, {}]}, "[string, any]"),
        ({"anyOf": [{"type": "string"}, {"type": "string"}]}, "string"),
        ({}, "any"),
    ],
)
def test_a_schema_is_told_in_words(schema: dict[str, object], words: str) -> None:
    assert type_of(schema) == words


async def test_every_link_of_the_page_leads_somewhere(light_client: httpx.AsyncClient) -> None:
    html = (await light_client.get("/docs")).text
    links = set(re.findall(r'href="#([^"]+)"', html))

    assert len(links) > 20
    assert links <= set(re.findall(r'id="([^"]+)"', html))
    assert "https://" not in html
