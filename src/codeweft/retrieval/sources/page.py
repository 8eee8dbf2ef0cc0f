"""A web page as Markdown: what its reader came for, without menus, and with code as it stands."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urldefrag, urljoin

from charset_normalizer import from_bytes
from markdownify import MarkdownConverter
from selectolax.lexbor import LexborHTMLParser, LexborNode

_META_CHARSET: Final = re.compile(rb"""<meta[^>]{0,200}charset\s*=\s*["']?([\w-]+)""", re.IGNORECASE)
_MAIN: Final = (
    "main",
    "[role=main]",
    "#main-content",
    "article",
    "div.document div.body",
    "#content",
    ".markdown-body",
    "body",
)
"""Where the content of a page is, the surest place first; documentation generators use one of the first three."""
_NEVER: Final = (
    "script, style, noscript, template, svg, iframe, form, button, select, input, dialog, nav, aside, "
    "[role=navigation], [role=search], [role=complementary], [role=banner], [role=contentinfo], [aria-hidden=true], "
    "[hidden], .headerlink, a.anchor, .hash-link, .linenos, .linenodiv, .lineno, .sphinxsidebar, .toctree-wrapper, "
    ".toc, .breadcrumb, .breadcrumbs, .related, .edit-this-page, .theme-doc-footer, .pagination-nav, .skip-link"
)
"""What nobody reads a page for."""
_FRAME: Final = "header, footer"
"""Frames of a page, but part of an article that has them."""
_LANGUAGE: Final = re.compile(r"(?:^|\s)(?:language|lang|highlight|brush:|sourceCode)[-\s]([\w+#-]+)")
_SHORTEST_MAIN: Final = 0.2
"""Share of the body's text that the main part must hold to be believed."""


@dataclass(frozen=True, slots=True)
class Page:
    """Markdown text, the absolute addresses linked to (without `#part`), and what the page tells robots."""

    text: str
    links: tuple[str, ...]
    index: bool = True
    follow: bool = True


def text_of(body: bytes, charset: str | None) -> str:
    """The text of a page's bytes: by the server's word, the page's own, as UTF-8, or by what it looks like."""
    declared = _META_CHARSET.search(body[:4096])
    for name in (charset, declared and declared[1].decode("ascii"), "utf-8"):
        try:
            if name:
                return body.decode(name)
        except (LookupError, UnicodeDecodeError):
            continue
    guess = from_bytes(body[:200_000]).best()
    return body.decode(guess.encoding if guess else "utf-8", "replace")


def page(html: str, url: str) -> Page:
    """Read the page at `url`."""
    tree = LexborHTMLParser(html.replace("\0", ""))
    base = tree.css_first("base[href]")
    base_url = urljoin(url, base.attributes["href"] or "") if base is not None else url
    links = tuple(dict.fromkeys(_links(tree, base_url)))
    told = ",".join(
        (node.attributes.get("content") or "").lower()
        for node in tree.css("meta[name]")
        if (node.attributes.get("name") or "").lower() in ("robots", "codeweft")
    )
    named = tree.css_first("title")
    title = " ".join(named.text().split()) if named is not None else ""
    main = _main(tree)
    text = _markdown(main) if main is not None else ""
    if title and not re.search(r"^# ", text, re.MULTILINE) and text:
        text = f"# {title}\n\n{text}"
    return Page(text, links, not re.search("noindex|none", told), not re.search("nofollow|none", told))


def _links(tree: LexborHTMLParser, base: str) -> list[str]:
    found: list[str] = []
    for node in tree.css("a[href], area[href], link[rel=next][href]"):
        try:
            found.append(urldefrag(urljoin(base, (node.attributes["href"] or "").strip())).url)
        except ValueError:
            continue
    return found


def _main(tree: LexborHTMLParser) -> LexborNode | None:
    """The part of the page with its content; the whole body when that part holds hardly any of it."""
    body = tree.body
    if body is None:
        return None
    for node in tree.css(_NEVER):
        node.decompose()
    everything = len(body.text(strip=True))
    for place in _MAIN:
        found = tree.css(place)
        if len(found) == 1 and len(found[0].text(strip=True)) >= _SHORTEST_MAIN * everything:
            if place == "body":
                for node in tree.css(_FRAME):
                    node.decompose()
            return found[0]
    return body


class _Markdown(MarkdownConverter):
    """Markdown as it is read, not as it is printed: nothing escaped, links and pictures by their text."""

    class Options:
        heading_style = "atx"
        bullets = "-"
        escape_asterisks = False
        escape_underscores = False
        escape_misc = False
        strip = ("a", "img")
        strong_em_symbol = ""
        sub_symbol = "_"
        sup_symbol = "^"
        newline_style = "backslash"


def _markdown(main: LexborNode) -> str:
    """The Markdown of an element."""
    text: str = _Markdown(code_language_callback=_language).convert(main.html or "")
    lines = [line.rstrip() for line in text.replace("\r\n", "\n").replace("\xa0", " ").split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


def _language(pre: object) -> str | None:
    """The language of a code block, from the classes of the block and what is around it."""
    for element in (pre, *getattr(pre, "find_all", list)("code"), *list(getattr(pre, "parents", ()))[:2]):
        classes = " ".join(element.get("class") or ())
        if match := _LANGUAGE.search(classes):
            return match[1]
    return None
