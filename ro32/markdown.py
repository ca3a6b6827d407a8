"""Markdown from templates, which lie in the folder templates/ of a package."""

from jinja2 import Environment, PackageLoader, StrictUndefined


def render(package: str, template: str, **values: object) -> str:
    """Fill a template in; nothing is escaped, and a name without a value is an error."""
    environment = Environment(
        loader=PackageLoader(package),
        autoescape=False,  # noqa: S701 - this is no HTML
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(values)
