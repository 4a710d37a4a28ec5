"""The templates of pages: everything that comes from data is escaped, and a name that is not there is an error."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from syntune.pages.colours import css_variables, page_style
from syntune.pages.visible import seen, visible


def environment(folder: Path) -> Environment:
    """The templates of a folder; each knows the shared ``style``, and the colours as ``light`` and ``dark``.

    The filters ``visible`` and ``seen`` are those of :mod:`syntune.pages.visible`, for texts of unknown origin.
    """
    made = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.globals |= {
        "style": Markup(page_style()),
        "light": Markup(css_variables(0)),
        "dark": Markup(css_variables(1)),
    }
    made.filters |= {"visible": visible, "seen": seen}
    return made
