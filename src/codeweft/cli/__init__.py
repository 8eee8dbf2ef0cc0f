"""The `codeweft` command. Subcommands import what they need when they run, so that `--help` stays quick."""

from __future__ import annotations

import errno
import os
import sys
from typing import Annotated

import typer

from codeweft import __version__
from codeweft.cli import (
    ask,
    config,
    connect,
    cost,
    grep,
    index,
    keys,
    lsp,
    mcp,
    models,
    people,
    search,
    serve,
    symbol,
    tasks,
)
from codeweft.cli.render import complain
from codeweft.errors import CodeweftError, StorageFailed

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130

app = typer.Typer(
    name="codeweft",
    help="The code-generation server a team runs itself: it writes code the way that team already writes it.",
    epilog="State lives in CODEWEFT_HOME (default: the platform's data folder). First steps: `codeweft serve --code .`",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("serve", epilog=serve.EXAMPLES)(serve.serve)
app.command("signin", epilog="Example: `codeweft signin`")(serve.signin)
app.command("ask", epilog=ask.ASK_EXAMPLES)(ask.ask)
app.command("chat", epilog=ask.CHAT_EXAMPLES)(ask.chat)
tasks.register(app)
app.command("search", epilog=search.EXAMPLES)(search.search)
app.command("symbol", epilog=symbol.EXAMPLES)(symbol.symbol)
app.command("grep", epilog=grep.EXAMPLES)(grep.grep)
app.command("connect", epilog=connect.EXAMPLES)(connect.connect)
app.command("lsp", epilog=lsp.EXAMPLES)(lsp.lsp)
app.command("mcp", epilog=mcp.EXAMPLES)(mcp.mcp)
app.add_typer(index.app, name="index")
app.add_typer(models.app, name="models")
app.add_typer(keys.app, name="keys")
app.add_typer(people.users, name="users")
app.add_typer(people.teams, name="teams")
app.add_typer(people.limits, name="limits")
app.command("access", epilog=people.ACCESS_EXAMPLES)(people.access)
app.command("usage", epilog=people.USAGE_EXAMPLES)(people.usage)
app.command("cost", epilog=cost.EXAMPLES)(cost.cost)
app.add_typer(config.app, name="config")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"codeweft {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line. Errors that a person can act on are one message on stderr and exit code 1."""
    try:
        app()
    except CodeweftError as error:
        complain(error)
        sys.exit(EXIT_FAILED)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output left (`| head`): nothing more to say, and Python must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_FAILED)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            raise
        complain(
            StorageFailed(
                f"Writing failed: {error.strerror}.", fix="Free some space or set CODEWEFT_HOME elsewhere."
            )
        )
        sys.exit(EXIT_FAILED)
