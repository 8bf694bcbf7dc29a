"""Pages from their templates."""

import base64
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

import herbage
from herbage.formatting import counted


def render(page: str, *, package: str = "herbage.results", **values: Any) -> str:
    """The text of a page; its template is in the folder `pages` of a package, and may extend `base.html.j2`."""
    places = dict.fromkeys((package, "herbage.results"))
    loader = ChoiceLoader([PackageLoader(place, "pages") for place in places])
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    environment.filters |= {"figure": figure, "counted": counted}
    return environment.get_template(page).render(version=herbage.__version__, **values)


def figure(value: float | None, digits: int) -> str:
    """A number as text with thousands separators, n/a where it is unknown."""
    if value is None or value != value:
        return "n/a"
    return f"{round(value, digits) + 0.0:,.{digits}f}"  # + 0.0 turns -0 into 0


def data_uri(content: bytes, kind: str) -> str:
    """An image in the text of a page."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
