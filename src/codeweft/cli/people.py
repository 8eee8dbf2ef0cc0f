"""`codeweft users`, `teams`, `limits`, `usage`: who may use how much, and who did."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from codeweft.cli.keys import HERE
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
    waiting = "waiting"
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

    return Actor(HERE)


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


@users.command("approve", epilog="Example: `codeweft users approve ben`")
def approve_user(name: NameArgument) -> None:
    """Let a user in who registered and waits."""
    _with_accounts(lambda accounts: accounts.people.change_user(name, actor=_actor(), status="active"))


@users.command("password", epilog="Example: `pass show codeweft | codeweft users password ann`")
def set_password(name: NameArgument) -> None:
    """Set a user's password, asked for here or read from standard input, and end the user's sessions."""
    hidden = sys.stdin.isatty()
    password = (
        typer.prompt("Password", hide_input=True, confirmation_prompt=True)
        if hidden
        else sys.stdin.readline().rstrip("\n")
    )

    async def work(accounts: Accounts) -> None:
        user = await accounts.people.user(name)
        await accounts.signin.set_password(user, password, actor=_actor())
        await accounts.sessions.end_all(user.id)

    _with_accounts(work)


@users.command("reset", epilog="Example: `codeweft users reset ann --factor`")
def reset_user(
    name: NameArgument,
    factor: Annotated[bool, typer.Option("--factor", help="Take the second factor away.")] = False,
    password: Annotated[bool, typer.Option("--password", help="Take the password away.")] = False,
) -> None:
    """End a user's sessions everywhere and, if asked, take second factor or password away."""

    async def work(accounts: Accounts) -> int:
        user = await accounts.people.user(name)
        if factor:
            await accounts.signin.remove_totp(user, actor=_actor())
        if password:
            await accounts.signin.remove_password(user, actor=_actor())
        ended = await accounts.sessions.end_all(user.id)
        await accounts.people.note(_actor(), "user.signout-everywhere", user.name, ended=ended)
        return ended

    note(f"{_with_accounts(work)} sessions ended.")


@users.command("identity", epilog="Example: `codeweft users identity ann 5f2c…`")
def link_identity(
    name: NameArgument,
    subject: Annotated[str, typer.Argument(help="The claim `sub` of the single sign-on.")],
) -> None:
    """Let a user in whom the single sign-on calls by this subject."""
    from codeweft import config
    from codeweft.errors import NotFound

    oidc = config.load(None).sign_in.oidc
    if oidc is None:
        raise NotFound("There is no single sign-on here.", fix="Set `sign_in.oidc` in the settings.")
    issuer = oidc.issuer.rstrip("/")

    async def work(accounts: Accounts) -> None:
        user = await accounts.people.user(name)
        await accounts.signin.link_identity(user, issuer, subject, actor=_actor())

    _with_accounts(work)


# ── who reads what ───────────────────────────────────────────────────────────────────────────────────────────

ACCESS_EXAMPLES = """Examples:

- `codeweft access` lists the indexes that are not open to all

- `codeweft access payments --team core --user ann`

- `codeweft access payments --open`"""


def access(
    index: Annotated[str | None, typer.Argument(help="Name of an index.")] = None,
    user: Annotated[list[str] | None, typer.Option("--user", help="May read it; may be repeated.")] = None,
    team: Annotated[list[str] | None, typer.Option("--team", help="May read it; may be repeated.")] = None,
    open_: Annotated[bool, typer.Option("--open", help="Everybody may read it.")] = False,
    only_admins: Annotated[bool, typer.Option("--admins", help="Only administrators may read it.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Say who may read an index. For everybody else it does not exist. Administrators read all."""
    from codeweft.errors import InvalidRequest

    readers = bool(user or team)
    if index is not None and readers + open_ + only_admins != 1:
        raise InvalidRequest(
            "Say who may read it in one way.", fix="Use --user and --team, or --open, or --admins."
        )

    async def change(accounts: Accounts) -> None:
        if open_:
            await accounts.access.open(str(index), actor=_actor())
        else:
            await accounts.access.restrict(str(index), user or (), team or (), actor=_actor())

    async def restricted(accounts: Accounts) -> list[dict[str, str]]:
        names = {user.id: user.name for user in await accounts.people.users()}
        names |= {team.id: team.name for team in await accounts.people.teams()}
        return [
            {
                "index": name,
                "users": ", ".join(sorted(names.get(one, one) for one in found.users)),
                "teams": ", ".join(sorted(names.get(one, one) for one in found.teams)),
            }
            for name, found in sorted(accounts.restricted().items())
        ]

    if index is None:
        _show(_with_accounts(restricted), as_json, "Index", "Users", "Teams")
    else:
        _with_accounts(change)


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
