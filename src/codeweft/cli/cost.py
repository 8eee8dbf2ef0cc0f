"""`codeweft cost`: an API's price against a machine of one's own."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from codeweft.cli.options import JsonOption
from codeweft.cli.render import out, print_json, table
from codeweft.errors import InvalidRequest

EXAMPLES = """Examples:

- `codeweft cost --machine 8.1 --speed 100 --usd-per-request 0.025`

- `codeweft cost --machine 2.5 --speed 900 --model gpt-4o --prompt 1500 --answer 400`"""


def cost(
    machine: Annotated[float, typer.Option("--machine", help="USD per hour of the machine.")],
    speed: Annotated[
        float, typer.Option("--speed", help="Tokens per second it writes, all slots busy (measured).")
    ],
    prompt: Annotated[float, typer.Option("--prompt", min=0, help="Tokens of a prompt.")] = 500,
    answer: Annotated[float, typer.Option("--answer", min=1, help="Tokens of an answer.")] = 300,
    utilisation: Annotated[
        float, typer.Option("--utilisation", min=0.001, max=1, help="Part of the time it works.")
    ] = 1.0,
    usd_per_request: Annotated[float | None, typer.Option("--usd-per-request", help="At the API.")] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="A provider's model, for its list price.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say from how many requests an hour a machine of your own is cheaper than an API."""
    from codeweft.models.prices import Machine, Prices, break_even

    if usd_per_request is None:
        if model is None:
            raise InvalidRequest("What does the API cost?", fix="Give --usd-per-request or --model.")
        prices = Prices()
        prices.load()
        price = prices.listed(model)
        if price is None:
            raise InvalidRequest(f"The price of {model} is not known.", fix="Give --usd-per-request.")
        usd_per_request = price.of(prompt, answer)
    if usd_per_request <= 0 or machine <= 0 or speed <= 0:
        raise InvalidRequest("Prices and speeds must be above 0.")
    own = Machine(machine, speed, utilisation)
    found = break_even(usd_per_request, own, answer)
    if as_json:
        print_json(
            {**asdict(found), "reachable": found.reachable, "usd_per_million_tokens": own.price().output}
        )
        return
    shown = table("", "")
    shown.add_row("A request at the API", f"{found.api_usd_per_request:.5f} USD")
    shown.add_row("A million tokens of the machine, fully used", f"{own.price().output:.3f} USD")
    shown.add_row("The machine is cheaper above", f"{found.requests_per_hour:,.0f} requests an hour")
    shown.add_row("It can serve", f"{found.capacity:,.0f} requests an hour")
    out.print(shown)
    if not found.reachable:
        out.print("One such machine cannot serve that many: it does not break even.")
