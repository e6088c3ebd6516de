"""The OpenAPI document and its page, which need nothing from outside."""

import re
from pathlib import Path
from typing import Any

from infrawatch_api.app import openapi_document


async def test_the_page_and_all_that_it_loads_come_from_here(world: Any) -> None:
    page = await world.get("/docs")
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)

    assert page.headers["content-type"].startswith("text/html")
    assert len(loaded) == 4
    for path in loaded:
        assert path.startswith("/assets/")
        answer = await world.get(path)
        assert answer.status_code == 200, answer.text
    assert "<script>" not in page.text
    assert "style=" not in page.text
    assert "//" not in page.text.replace("<!DOCTYPE", "")


OTHER_FILES: list[str] = ["..%2Fdocs.html", "swagger-ui.css%2F..%2Fpackage.json", "package.json", "%2Fetc%2Fpasswd"]


async def test_no_other_file_is_served(world: Any) -> None:
    for path in OTHER_FILES:
        assert (await world.get(f"/assets/{path}")).status_code == 404


async def test_without_the_browser_libraries_the_answer_says_what_to_do(make_world: Any, tmp_path: Path) -> None:
    world = await make_world(assets_directory=tmp_path)

    answer = await world.get("/assets/swagger-ui.css")

    assert answer.status_code == 404
    assert "npm ci" in answer.json()["detail"]


async def test_the_document_is_served(world: Any) -> None:
    assert (await world.get("/openapi.json")).json() == openapi_document()
