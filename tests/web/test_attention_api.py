"""The attention route: what it answers, and that the application has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from web_site import Site

from annotator.attention_maps import AttentionMap, NoAttention
from annotator.web.attention_api import make_attention_router

PATH = "/api/v1/images/{}/categories/{}/attention"


@dataclass
class Answering:
    """A service that gives one answer."""

    answer: AttentionMap | NoAttention

    def attention(self, image_id: int, category_id: int) -> AttentionMap | NoAttention:
        return self.answer


@pytest.mark.parametrize(
    ("found", "code", "body"),
    [
        (
            AttentionMap(1, 2, (0.0, 1.0), model_version=7),
            200,
            {"rows": 1, "columns": 2, "values": [0, 1], "model_version": 7, "kind": "activation"},
        ),
        (NoAttention("soon", again=True), 202, {"message": "soon", "again": True}),
    ],
)
def test_a_map_is_200_and_everything_else_202_with_a_reason(
    found: AttentionMap | NoAttention, code: int, body: dict[str, Any]
) -> None:
    app = FastAPI()
    app.include_router(make_attention_router(cast("Any", Answering(found))))
    answer = TestClient(app).get(PATH.format(1, 2))
    assert (answer.status_code, answer.json()) == (code, body)


def test_the_application_answers_why_there_is_no_map_before_the_first_model(site: Site) -> None:
    answer = site.client.get(PATH.format(1, 1))
    assert answer.status_code == 202
    assert answer.json() == {"message": "the model has not been trained yet", "again": False}


def test_an_unknown_picture_is_not_found(site: Site) -> None:
    answer = site.client.get(PATH.format(999, 1))
    assert (answer.status_code, answer.json()["kind"]) == (404, "NotFound")
