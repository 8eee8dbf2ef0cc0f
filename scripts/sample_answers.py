"""An OpenAI-compatible endpoint with prepared answers, for pictures of the web page that are the same every time.

`[[name]]` in an answer becomes the number of the reference that defines `name`, so that citations are true.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

MODEL = "qwen3-coder-30b"
PAUSE = 0.002
"""Seconds between words."""

OVERDUE = '''`overdue_invoices` already picks the unpaid ones whose due date has passed [[overdue_invoices]], and `invoice_total` adds up one invoice [[invoice_total]]. What is left is to group by customer:

```python
from datetime import date

from billing.invoices import invoice_total, overdue_invoices
from billing.money import Money


def owed_by_customer(invoices: list[Invoice], today: date) -> dict[str, Money]:
    """What each customer still owes on invoices that are past their due date."""
    owed: dict[str, Money] = {}
    for invoice in overdue_invoices(invoices, today):
        total = invoice_total(invoice.lines)
        before = owed.get(invoice.customer)
        owed[invoice.customer] = total if before is None else before.add(total)
    return owed
```

Two things to know before you merge this:

- **Currencies.** `Money.add` refuses to add different currencies [[Money]]. A customer who is billed in two needs a key of customer *and* currency.
- **Empty invoices.** `invoice_total` takes its currency from the first line, so an invoice without lines raises an `IndexError`.'''

TESTS = """The three cases that matter are a sum, the refusal of a second currency, and that neither amount changes [[Money]]:

```python
import pytest

from billing.money import Money


def test_amounts_of_one_currency_add_up():
    assert Money(1250, "EUR").add(Money(50, "EUR")) == Money(1300, "EUR")


def test_another_currency_is_refused():
    with pytest.raises(ValueError, match="cannot add USD to EUR"):
        Money(1, "EUR").add(Money(1, "USD"))
```"""

RANKING = """Candidates come from two searches and meet in one list [[fuse]]. In short:

| step | what it does | where |
|---|---|---|
| lexical | words of the question, with names split at case and underscore | `store/lexical.py` |
| vectors | the static encoder, cosine over all chunks | `store/vectors.py` |
| fusion | the two scores are brought to one scale and added | `rank.py` |

1. Each list is cut to its best candidates, so that neither can flood the other.
2. A name that the question mentions word for word lifts its definition.
3. What is left is re-ranked; with a `reranker:` in the settings, by a model.

> Ranking is pure: no I/O, the same for all three stores."""

KOREAN = '''연체된 청구서는 `overdue_invoices`가 골라 주고 [[overdue_invoices]], 한 청구서의 합계는 `invoice_total`이 계산합니다 [[invoice_total]]. 고객별로 더하기만 하면 됩니다.

```python
def overdue_totals(invoices, today):
    """고객별 연체 금액."""
    totals = {}
    for invoice in overdue_invoices(invoices, today):
        total = invoice_total(invoice.lines)
        before = totals.get(invoice.customer)
        totals[invoice.customer] = total if before is None else before.add(total)
    return totals
```

통화가 서로 다르면 `Money.add`가 `ValueError`를 냅니다 [[Money]].'''

RETRY = """`retryWithBackoff` waits `delay * 2 ** attempt` milliseconds, so clients that failed together try again together [[retryWithBackoff]]. Full jitter spreads them:

```js
const wait = Math.random() * delay * 2 ** attempt
await new Promise((resolve) => setTimeout(resolve, wait))
```"""

GO = """```go
package words

// GroupByFirstLetter maps each first letter to its words, in their order.
// Like the original it fails for an empty word.
func GroupByFirstLetter(words []string) map[rune][]string {
	groups := make(map[rune][]string)
	for _, word := range words {
		first := []rune(word)[0]
		groups[first] = append(groups[first], word)
	}
	return groups
}
```"""

ANSWERS: tuple[tuple[str, str], ...] = (
    ("Translate the code to Go", GO),
    ("연체", KOREAN),
    ("overdue", OVERDUE),
    ("tests for Money", TESTS),
    ("ranking", RANKING),
    ("jitter", RETRY),
    ("note ", "Noted."),
    ("three words", "Hello there, friend."),
)
ELSE = "Use `invoice_total` for one invoice [[invoice_total]] and add the results with `Money.add` [[Money]]."
INFILL = "total = total.add(line)\n    return total"


def answer_to(prompt: str) -> str:
    """The prepared answer to a prompt, with the numbers of the references it was given."""
    # Only chats have references before the request.
    question = prompt[max(0, prompt.rfind("Task: ")) :]
    text = next((answer for words, answer in ANSWERS if words in question), ELSE)
    blocks = re.findall(r"^Reference \[(\d+)\] (.*?)(?=^Reference \[|\Z)", prompt, re.MULTILINE | re.DOTALL)

    def number(match: re.Match[str]) -> str:
        defines = re.compile(rf"\b(def|class|function) {match[1]}\b")
        return next((f"[{found}]" for found, body in blocks if defines.search(body)), "")

    return re.sub(r" ?\[\[(\w+)\]\]", lambda match: f" {number(match)}".rstrip(), text)


def _usage(prompt: str, answer: str) -> dict[str, int]:
    """Token counts of a prompt and its answer; the prompts of the days before are told to be longer than they are."""
    chance = random.Random(prompt)
    noted = answer.startswith("Noted")
    read = len(prompt) // 4 + (chance.randint(600, 5200) if noted else 0)
    written = len(answer) // 4 + (chance.randint(60, 700) if noted else 0)
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


async def _chat(request: web.Request) -> web.StreamResponse:
    asked = await request.json()
    prompt = "\n".join(str(turn["content"]) for turn in asked["messages"])
    answer = answer_to(prompt)
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for word in re.findall(r"\s*\S+\s*", answer):
        await response.write(_chunk({"choices": [{"index": 0, "delta": {"content": word}}]}))
        await asyncio.sleep(PAUSE)
    ended = [{"index": 0, "delta": {}, "finish_reason": "stop"}]
    await response.write(_chunk({"choices": ended, "usage": _usage(prompt, answer)}))
    await response.write(b"data: [DONE]\n\n")
    return response


async def _complete(request: web.Request) -> web.StreamResponse:
    asked = await request.json()
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for word in re.findall(r"\s*\S+\s*", INFILL):
        await response.write(_chunk({"choices": [{"index": 0, "text": word}]}))
        await asyncio.sleep(PAUSE)
    ended = [{"index": 0, "text": "", "finish_reason": "stop"}]
    await response.write(_chunk({"choices": ended, "usage": _usage(str(asked["prompt"]), INFILL)}))
    await response.write(b"data: [DONE]\n\n")
    return response


def _chunk(body: dict[str, object]) -> bytes:
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": MODEL}
    return b"data: " + json.dumps(head | body).encode() + b"\n\n"


async def _models(_: web.Request) -> web.Response:
    return web.json_response({"object": "list", "data": [{"id": MODEL, "object": "model"}]})


@contextmanager
def prepared() -> Iterator[str]:
    """The address of the endpoint on a free port, in a thread of its own."""
    loop = asyncio.new_event_loop()
    started = threading.Event()
    address: list[str] = []

    async def run() -> None:
        application = web.Application(client_max_size=1 << 26)
        application.router.add_get("/v1/models", _models)
        application.router.add_post("/v1/chat/completions", _chat)
        application.router.add_post("/v1/completions", _complete)
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        address.append(f"http://127.0.0.1:{runner.addresses[0][1]}/v1")
        started.set()

    def work() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(run())
        loop.run_forever()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    if not started.wait(10):
        raise RuntimeError("the endpoint with prepared answers did not start")
    yield address[0]
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)
