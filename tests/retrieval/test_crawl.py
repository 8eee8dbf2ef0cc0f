"""Documentation sites are read as far as they are one site and allow it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from codeweft.errors import InvalidRequest, NotFound, UpstreamFailed
from codeweft.retrieval.catalogue import Indexes
from codeweft.retrieval.index import Index
from codeweft.retrieval.sources import crawl as crawling
from codeweft.retrieval.sources import parse_source
from codeweft.retrieval.sources.crawl import addresses
from codeweft.retrieval.sources.guard import Guard
from codeweft.retrieval.sources.page import page, text_of
from codeweft.types import Query

from .conftest import WordEncoder
from .site import Site, pages


def html(title: str, body: str, head: str = "") -> str:
    return (
        f"<html><head><title>{title} - Docs</title>{head}<script>track()</script></head><body>"
        f"<nav><a href='/guide/menu'>Menu entry</a></nav><header>Site header</header><main><h1>{title}"
        f"<a class='headerlink' href='#x'>¶</a></h1>{body}</main><footer>Copyright</footer></body></html>"
    )


@pytest.fixture
def site() -> Iterator[Site]:
    with pages() as served:
        served.pages |= {
            "/guide/": html(
                "Guide",
                "<p>Start <a href='install.html'>here</a>, <a href='api/'>API</a>, <a href='/blog/'>blog</a>, "
                "<a href='install.html?highlight=x#top'>again</a>, <a href='https://elsewhere.example/guide/'>x</a>, "
                "<a href='logo.png'>logo</a> <a href='secret/plan.html'>plan</a> <a href='gone.html'>gone</a></p>",
            ),
            "/guide/install.html": html(
                "Install", "<pre><code class='language-bash'>pip install shop_core\n  --upgrade</code></pre>"
            ),
            "/guide/api/": html(
                "API", "<h2>Orders</h2><p>An order is *final* after <code>close_order()</code>.</p>"
            ),
            "/guide/secret/plan.html": html("Plan", "<p>The secret plan.</p>"),
            "/guide/menu": html("Menu", "<p>Only linked from the navigation.</p>"),
            "/guide/listed.html": html("Listed", "<p>Only in the site map.</p>"),
            "/blog/": html("Blog", "<p>Not documentation.</p>"),
            "/robots.txt": ("text/plain", b"User-agent: *\nDisallow: /guide/secret/\n"),
        }
        served.pages["/sitemap.xml"] = (
            "application/xml",
            f"<urlset xmlns='http://www.sitemaps.org/schemas/sitemap/0.9'><url><loc>{served.url}/guide/listed.html"
            f"</loc></url><url><loc>{served.url}/blog/other.html</loc></url></urlset>".encode(),
        )
        yield served


@pytest.fixture
def local(tmp_path: Path, encoder: WordEncoder, monkeypatch: pytest.MonkeyPatch) -> Indexes:
    """Indexes that may read pages from this machine."""
    monkeypatch.setattr(crawling, "RETRY_SECONDS", 0.01)
    return Indexes(tmp_path / "home", encoder, private_hosts=["127.0.0.1"])


def paths(index: Index) -> list[str]:
    return [file.path for file in index.files() if file.status == "indexed"]


def test_a_site_is_read_below_its_address_by_links_and_map(site: Site, local: Indexes) -> None:
    index = local.add(f"{site.url}/guide/", web=True)
    status = index.update()
    assert paths(index) == [
        "guide/api/index.md",
        "guide/index.md",
        "guide/install.md",
        "guide/listed.md",
        "guide/menu.md",
    ]
    assert dict(status.skipped) == {
        f"{site.url}/guide/secret/plan.html": "robots.txt asks not to read it",
        f"{site.url}/guide/gone.html": "answered 404",
    }
    assert "/blog/" not in site.asked and "/guide/logo.png" not in site.asked
    assert "/guide/secret/plan.html" not in site.asked and site.asked.count("/guide/install.html") == 1
    found = index.search(Query("when is an order final"))[0].chunk
    assert (found.path, found.repository) == ("guide/api/index.md", site.url.removeprefix("http://"))
    assert "An order is *final* after `close_order()`." in found.text
    assert addresses(index.folder)["guide/install.md"] == f"{site.url}/guide/install.html"


def test_a_page_is_what_its_reader_came_for(site: Site) -> None:
    text = page(str(site.pages["/guide/install.html"]), site.url).text
    assert text == "# Install\n\n```bash\npip install shop_core\n  --upgrade\n```\n"


def test_an_address_without_a_slash_is_that_page_alone(site: Site, local: Indexes) -> None:
    index = local.add(f"{site.url}/guide/install.html", web=True)
    assert index.update().indexed == 1
    assert paths(index) == ["guide/install.md"]


def test_the_next_crawl_asks_only_for_what_changed(site: Site, local: Indexes) -> None:
    index = local.add(f"{site.url}/guide/", web=True)
    index.update()
    before = {file.path: file.id for file in index.files()}
    site.pages["/guide/api/"] = html("API", "<p>Orders can be reopened now.</p>")
    del site.pages["/guide/menu"]
    index.update()
    assert sorted(site.unchanged) == ["/guide/", "/guide/install.html", "/guide/listed.html"]
    after = {file.path: file.id for file in index.files()}
    assert "guide/menu.md" not in after and not (index.folder / "files/guide/menu.md").exists()
    assert [path for path in after if before.get(path) != after[path]] == [
        "guide/api/index.md",
        f"{site.url}/guide/menu",
    ]
    assert index.search(Query("reopened"))[0].chunk.path == "guide/api/index.md"


def test_a_site_in_trouble_keeps_what_was_read(site: Site, local: Indexes) -> None:
    index = local.add(f"{site.url}/guide/", web=True)
    index.update()
    site.pages["/guide/install.html"] = 503
    status = index.update()
    assert "guide/install.md" in paths(index)
    assert dict(status.skipped)[f"{site.url}/guide/install.html"] == "answered 503; the earlier copy is kept"
    site.pages["/guide/"] = 500
    with pytest.raises(UpstreamFailed, match="500"):
        index.update()
    assert index.status().state == "failed" and len(paths(index)) == 5


def test_an_interrupted_crawl_is_made_good_by_the_next(site: Site, local: Indexes) -> None:
    index = local.add(f"{site.url}/guide/", web=True)
    index.update()
    (index.folder / "files/guide/install.md").write_text("# Newer\n\nFrom a crawl that was killed.\n")
    (index.folder / "files/guide/stray.md").write_text("# Stray\n")
    index.update()
    assert "pip install" in index.lines("guide/install.md", 1, 10)
    assert "guide/stray.md" not in paths(index)


def test_private_addresses_are_refused_unless_named(site: Site, indexes: Indexes, local: Indexes) -> None:
    with pytest.raises(InvalidRequest, match=r"index\.private_hosts"):
        indexes.add(f"{site.url}/guide/", web=True).update()
    assert site.asked == []
    site.redirects["/guide/away.html"] = site.url.replace("127.0.0.1", "127.0.0.2") + "/guide/install.html"
    site.pages["/guide/"] = html("Guide", "<a href='away.html'>away</a>")
    status = local.add(f"{site.url}/guide/", web=True).update()
    assert "not on the public internet" in dict(status.skipped)[f"{site.url}/guide/away.html"]


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "169.254.169.254",
        "::1",
        "fe80::1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "0.0.0.0",
    ],
)
def test_no_private_address_is_public(address: str) -> None:
    assert not Guard(["docs.internal"]).allows("example.org", address)
    assert Guard(["docs.internal"]).allows("docs.internal", address)


def test_limits_and_robots_tags_are_kept_and_said(site: Site, tmp_path: Path, encoder: WordEncoder) -> None:
    few = Indexes(tmp_path / "few", encoder, private_hosts=["127.0.0.1"], max_pages=2)
    status = few.add(f"{site.url}/guide/", web=True).update()
    assert status.indexed <= 5 and any("the limit is 2 pages" in reason for _, reason in status.skipped)
    site.pages["/guide/"] = html(
        "Guide", "<a href='hidden.html'>h</a><a href='copy.html'>c</a><a href='app'>a</a>"
    )
    site.pages["/guide/hidden.html"] = html(
        "Hidden", "<p>x</p>", "<meta name=robots content='noindex, nofollow'>"
    )
    site.pages["/guide/copy.html"] = site.pages["/guide/listed.html"]
    site.pages["/guide/app"] = "<html><body><div id=root></div><script>render()</script></body></html>"
    every = Indexes(tmp_path / "every", encoder, private_hosts=["127.0.0.1"])
    reasons = dict(every.add(f"{site.url}/guide/", web=True).update().skipped)
    assert "robots meta tag" in reasons[f"{site.url}/guide/hidden.html"]
    assert "without JavaScript" in reasons[f"{site.url}/guide/app"]
    assert "the same as" in str(
        [reason for url, reason in reasons.items() if "listed" in url or "copy" in url]
    )


def test_a_site_that_wants_no_robots_is_left_alone(site: Site, local: Indexes) -> None:
    site.pages["/robots.txt"] = ("text/plain", b"User-agent: *\nDisallow: /\n")
    with pytest.raises(InvalidRequest, match=r"robots\.txt"):
        local.add(f"{site.url}/guide/", web=True).update()
    assert site.asked == ["/robots.txt"]


def test_documents_of_a_site_are_read(site: Site, local: Indexes) -> None:
    runbook = (Path(__file__).parent / "documents" / "runbook.pdf").read_bytes()
    site.pages["/guide/"] = html("Guide", "<a href='ops/runbook.pdf'>Runbook</a>")
    site.pages["/guide/ops/runbook.pdf"] = ("application/pdf", runbook)
    index = local.add(f"{site.url}/guide/", web=True)
    index.update()
    assert index.search(Query("page the owner when the queue grows"))[0].chunk.path == "guide/ops/runbook.pdf"


def test_what_answers_nothing_is_an_error(site: Site, local: Indexes) -> None:
    with pytest.raises(NotFound, match="404"):
        local.add(f"{site.url}/nowhere/", web=True).update()
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(UpstreamFailed, match="could not be fetched"):
        local.add(f"http://127.0.0.1:{port}/guide/", web=True).update()


def test_git_is_asked_what_an_address_is(site: Site) -> None:
    assert parse_source(f"{site.url}/guide/").kind == "web"
    assert parse_source(f"{site.url}/guide.git").kind == "git"
    assert str(parse_source(f"web+{site.url}/guide/")) == f"web+{site.url}/guide/"


@pytest.mark.parametrize(
    ("body", "header"),
    [
        ("환불은 14일".encode("euc-kr"), "euc-kr"),
        ('<meta charset="euc-kr">환불은 14일'.encode("euc-kr"), None),
        ("환불은 14일".encode(), None),
        ("환불은 14일".encode(), "no-such-charset"),
    ],
)
def test_the_charset_of_a_page_is_found(body: bytes, header: str | None) -> None:
    assert text_of(body, header).endswith("환불은 14일")
