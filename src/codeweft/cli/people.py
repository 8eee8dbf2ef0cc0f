"""`codeweft users`, `teams`, `limits`, `usage`: who may use how much, and who did."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from codeweft.cli.options import JsonOption
from codeweft.cli.render import note, out, print_json, table

if TYPE_CHECKING:
    from codeweft.accounts import Accounts, Actor

DAY = 86400.0
T = TypeVar("T")


class RoleOption(StrEnum):
    admin = "admin"
    member = "member"
    viewer = "viewer"


class StatusOption(StrEnum):
    active = "active"
    disabled = "disabled"


class SubjectOption(StrEnum):
    user = "user"
    key = "key"
    team = "team"
    everyone = "everyone"


class PeriodOption(StrEnum):
    day = "day"
    month = "month"
    total = "total"


class GroupOption(StrEnum):
    day = "day"
    user = "user"
    key = "key"
    team = "team"
    model = "model"
    app = "app"


users = typer.Typer(help="Users: who may sign in.", invoke_without_command=True)
teams = typer.Typer(help="Teams: users that share limits.", invoke_without_command=True)
limits = typer.Typer(help="Budgets and rate limits of users, keys and teams.", invoke_without_command=True)
NameArgument = Annotated[str, typer.Argument(help="Name or id.")]


def _actor() -> Actor:
    from codeweft.accounts import Actor

    return Actor("command line")


def _with_accounts(work: Callable[[Accounts], Awaitable[T]]) -> T:
    from codeweft.runtime.state import open_accounts

    async def run() -> T:
        async with open_accounts() as accounts:
            return await work(accounts)

    return asyncio.run(run())


# ── users ────────────────────────────────────────────────────────────────────────────────────────────────────


@users.callback()
def list_users(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the users."""
    if context.invoked_subcommand is not None:
        return

    async def work(accounts: Accounts) -> list[dict[str, str]]:
        names = {team.id: team.name for team in await accounts.people.teams()}
        return [
            {"name": one.name, "role": one.role, "team": names.get(one.team_id, ""), "status": one.status}
            for one in await accounts.people.users()
        ]

    _show(_with_accounts(work), as_json, "Name", "Role", "Team", "Status")


@users.command("add", epilog="Example: `codeweft users add ann --team core`")
def add_user(
    name: Annotated[str, typer.Argument(help="Name of the user.")],
    role: Annotated[RoleOption, typer.Option("--role")] = RoleOption.member,
    team: Annotated[str | None, typer.Option("--team")] = None,
) -> None:
    """Make a user and print the token of a sign-in link (`/signin?token=…`), good once and for 15 minutes."""

    async def work(accounts: Accounts) -> str:
        await accounts.admin()
        user = await accounts.people.add_user(name, role.value, team=team, actor=_actor())
        return await accounts.signin_link(user)

    token = _with_accounts(work)
    note(f"{name} signs in at SERVER/signin?token=…")
    typer.echo(token)


@users.command("link")
def make_link(name: NameArgument) -> None:
    """Print the token of a new sign-in link for a user."""

    async def work(accounts: Accounts) -> str:
        return await accounts.signin_link(await accounts.people.user(name))

    typer.echo(_with_accounts(work))


@users.command("set", epilog="Example: `codeweft users set ann --status disabled`")
def change_user(
    name: NameArgument,
    role: Annotated[RoleOption | None, typer.Option("--role")] = None,
    team: Annotated[str | None, typer.Option("--team", help="Empty takes the user out of its team.")] = None,
    status: Annotated[StatusOption | None, typer.Option("--status")] = None,
) -> None:
    """Change a user's role, team or status. A disabled user is out at once."""
    _with_accounts(
        lambda accounts: accounts.people.change_user(
            name,
            actor=_actor(),
            role=None if role is None else role.value,
            team=team,
            status=None if status is None else status.value,
        )
    )


@users.command("rm")
def remove_user(name: NameArgument) -> None:
    """Delete a user with keys, sessions and conversations."""
    _with_accounts(lambda accounts: accounts.people.delete_user(name, actor=_actor()))


# ── teams ────────────────────────────────────────────────────────────────────────────────────────────────────


@teams.callback()
def list_teams(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the teams."""
    if context.invoked_subcommand is None:
        found = _with_accounts(lambda accounts: accounts.people.teams())
        _show([{"name": team.name} for team in found], as_json, "Name")


@teams.command("add")
def add_team(name: Annotated[str, typer.Argument(help="Name of the team.")]) -> None:
    """Make a team."""
    _with_accounts(lambda accounts: accounts.people.add_team(name, actor=_actor()))


@teams.command("rm")
def remove_team(name: NameArgument) -> None:
    """Delete a team; its members stay."""
    _with_accounts(lambda accounts: accounts.people.delete_team(name, actor=_actor()))


# ── limits ───────────────────────────────────────────────────────────────────────────────────────────────────


@limits.callback()
def list_limits(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the limits."""
    if context.invoked_subcommand is not None:
        return

    async def work(accounts: Accounts) -> list[dict[str, Any]]:
        found = await accounts.people.limits()
        return [{"kind": kind, "subject": who, **asdict(limit)} for (kind, who), limit in found.items()]

    columns = ("Of", "Id", "Requests/min", "Tokens/min", "At once", "USD", "Tokens", "Per")
    _show(_with_accounts(work), as_json, *columns)


@limits.command(
    "set",
    epilog="Examples: `codeweft limits set everyone --usd 20 --per month`, `codeweft limits set key ci --requests 30`",
)
def set_limit(
    kind: Annotated[SubjectOption, typer.Argument(help="Whose limit.")],
    name: Annotated[str, typer.Argument(help="Name or id; none for everyone.")] = "",
    requests: Annotated[int | None, typer.Option("--requests", min=0, help="Requests a minute.")] = None,
    tokens: Annotated[int | None, typer.Option("--tokens", min=0, help="Tokens a minute.")] = None,
    parallel: Annotated[int | None, typer.Option("--parallel", min=0, help="Answers at once.")] = None,
    usd: Annotated[float | None, typer.Option("--usd", min=0, help="Budget in USD.")] = None,
    budget_tokens: Annotated[int | None, typer.Option("--budget-tokens", min=0)] = None,
    per: Annotated[PeriodOption, typer.Option("--per", help="Period of the budgets.")] = PeriodOption.month,
) -> None:
    """Say what a user, key or team may use; what is not named is free. `everyone` is each user without an own limit."""
    from codeweft.accounts import Limit

    limit = Limit(requests, tokens, parallel, usd, budget_tokens, per.value)
    _with_accounts(lambda accounts: accounts.people.set_limit(kind.value, name, limit, actor=_actor()))


@limits.command("rm")
def remove_limit(
    kind: Annotated[SubjectOption, typer.Argument(help="Whose limit.")],
    name: Annotated[str, typer.Argument(help="Name or id; none for everyone.")] = "",
) -> None:
    """Take a limit away."""
    _with_accounts(lambda accounts: accounts.people.set_limit(kind.value, name, None, actor=_actor()))


# ── usage ────────────────────────────────────────────────────────────────────────────────────────────────────

USAGE_EXAMPLES = """Examples:

- `codeweft usage`

- `codeweft usage --by user --days 7`

- `codeweft usage --by model --json`"""


def usage(
    by: Annotated[GroupOption, typer.Option("--by", help="What to sum by.")] = GroupOption.day,
    days: Annotated[int, typer.Option("--days", min=1, max=3660, help="How far back.")] = 30,
    as_json: JsonOption = False,
) -> None:
    """Show what was used and what it cost. A running server is at most a second ahead."""
    from codeweft.accounts import Total

    async def work(accounts: Accounts) -> list[Total]:
        now = time.time()
        return await accounts.ledger.totals(by.value, now - days * DAY, now + 1)

    names = [one.name for one in fields(Total)]
    rows = [{name: getattr(total, name) for name in names} for total in _with_accounts(work)]
    columns = (by.value.capitalize(), "Answers", "Failed", "Read", "Cached", "Written", "USD", "Unpriced")
    _show(rows, as_json, *columns)


def _show(rows: list[dict[str, Any]], as_json: bool, *columns: str) -> None:
    if as_json:
        print_json(rows)
        return
    if not rows:
        note("Nothing yet.")
        return
    shown = table(*columns)
    for row in rows:
        shown.add_row(*map(_cell, row.values()))
    out.print(shown)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return (
        f"{value:,.4f}"
        if isinstance(value, float)
        else f"{value:,}"
        if isinstance(value, int)
        else str(value)
    )
