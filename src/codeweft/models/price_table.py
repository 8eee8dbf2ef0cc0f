"""Providers' list prices from genai-prices, which ships them. Importing this module takes a second."""

from __future__ import annotations

from genai_prices import Usage as ProviderUsage
from genai_prices import calc_price

from codeweft.models.prices import MILLION
from codeweft.types import Price


def find(model: str, host: str) -> Price | None:
    """The price of a model at a provider's host; None for one that no provider lists.

    List prices may fall with the length of a prompt; taken is the price of a prompt of a thousand tokens.
    """
    try:
        one, many, cached = (
            calc_price(
                used, model_ref=model, provider_api_url=f"https://{host}/" if host else None
            ).total_price
            for used in (
                ProviderUsage(input_tokens=1000),
                ProviderUsage(input_tokens=1000, output_tokens=1000),
                ProviderUsage(input_tokens=1000, cache_read_tokens=1000),
            )
        )
    except (LookupError, ValueError):
        return None
    per_million = MILLION / 1000
    return Price(float(one) * per_million, float(many - one) * per_million, float(cached) * per_million)
