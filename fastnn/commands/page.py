"""Pieces of a web page that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

_STYLE = """
:root { color-scheme: light dark; --text: #1a1a1a; --faint: #666; --line: #ddd; --page: #fff; --strong: #0072b2; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6e6e6; --faint: #a0a0a0; --line: #3a3a3a; --page: #14161a; --strong: #6cb8ec; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1rem; color: var(--text); background: var(--page);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: .5rem 0; overflow-wrap: anywhere; } h2 { font-size: 1.2rem; margin: 2rem 0 .5rem; }
p.faint { color: var(--faint); margin: .25rem 0; }
.figures { display: flex; flex-wrap: wrap; gap: .5rem 2rem; margin: 1rem 0; }
.figures div { font-size: .85rem; color: var(--faint); }
.figures b { display: block; font-size: 1.7rem; line-height: 1.2; color: var(--strong);
  font-variant-numeric: tabular-nums; }
.pictures { display: flex; flex-wrap: wrap; gap: 1rem; }
.pictures figure { margin: 0; flex: 0 1 auto; max-width: 100%; }
figure svg { max-width: 100%; height: auto; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .7rem .2rem 0; border-bottom: 1px solid var(--line); text-align: right; }
th { font-weight: 600; } th:first-child, td:first-child, .words * { text-align: left; }
.words td + td { overflow-wrap: anywhere; }
code { font: .85rem/1.4 ui-monospace, monospace; overflow-wrap: anywhere; }
"""


def page(title: str, parts: Iterable[str]) -> str:
    """A whole page. title is text, parts are HTML."""
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    icon = '<link rel="icon" href="data:,">'  # or browsers ask for one and complain
    start = f'<!doctype html>\n<html lang="en"><head>{head}{icon}<title>{escape(title)}</title>'
    body = "\n".join(parts)
    return f"{start}<style>{_STYLE}</style></head>\n<body>\n<h1>{escape(title)}</h1>\n{body}\n</body></html>\n"


def section(title: str, *parts: str) -> str:
    """A heading and what is below it, as HTML; nothing where there is nothing below."""
    below = "\n".join(part for part in parts if part)
    return f"<h2>{escape(title)}</h2>\n{below}" if below else ""


def note(text: str) -> str:
    """A line in small print."""
    return f'<p class="faint">{escape(text)}</p>'


def figures(values: Mapping[str, str]) -> str:
    """Large numbers with their names."""
    return (
        '<div class="figures">'
        + "".join(f"<div><b>{escape(value)}</b>{escape(name)}</div>" for name, value in values.items())
        + "</div>"
    )


def pictures(name: str, svgs: Sequence[str]) -> str:
    """SVG elements side by side where there is room. name: what they show."""
    if not svgs:
        return ""
    inside = "".join(f'<figure role="img" aria-label="{escape(name)}">{svg}</figure>' for svg in svgs)
    return f'<div class="pictures">{inside}</div>'


def table(titles: Sequence[str], rows: Iterable[Sequence[object]], *, words: bool = False) -> str:
    """A table, which scrolls by itself where it is too wide. words: to the left, not numbers to the right."""
    head = "".join(f"<th>{escape(title)}</th>" for title in titles)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table{" class=words" * words}><tr>{head}</tr>{body}</table></div>'
