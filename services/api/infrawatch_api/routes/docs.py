"""The OpenAPI document and a page to read and try it; everything comes from this service."""

from importlib.resources import files
from pathlib import Path

from anyio import Path as AsyncPath
from litestar import Response, Router, get
from litestar.params import FromPath

from infrawatch_api.api import ApiDependency
from infrawatch_api.authentication import PUBLIC
from infrawatch_api.problems import not_found

_BESIDE_THE_PACKAGE = Path(__file__).parents[2] / "node_modules"
_SWAGGER = "swagger-ui-dist"
# A closed list: a name from the URL never becomes a path.
_INSTALLED = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
}
_OWN = {
    "docs.js": "text/javascript",
    "favicon.svg": "image/svg+xml",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def _own(name: str) -> bytes:
    return files("infrawatch_api").joinpath("web", name).read_bytes()


@get("/docs", media_type="text/html")
async def docs() -> Response[bytes]:
    """The page."""
    return Response(_own("docs.html"), headers={"Content-Security-Policy": _POLICY})


@get("/favicon.ico", media_type="image/svg+xml")
async def favicon() -> bytes:
    """The icon of the page."""
    return _own("favicon.svg")


@get("/assets/{name:str}")
async def asset(api: ApiDependency, name: FromPath[str]) -> Response[bytes]:
    """A file that the page needs."""
    if name in _OWN:
        return Response(_own(name), media_type=_OWN[name])
    if name not in _INSTALLED:
        raise not_found("asset")
    path = (api.settings.assets_directory or _BESIDE_THE_PACKAGE) / _SWAGGER / name
    try:
        content = await AsyncPath(path).read_bytes()
    except OSError as error:
        raise not_found("asset; run 'npm ci' in services/api") from error
    return Response(content, media_type=_INSTALLED[name])


router = Router("/", route_handlers=[docs, favicon, asset], include_in_schema=False, opt={PUBLIC: True})
