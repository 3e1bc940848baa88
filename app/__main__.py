"""The service's own commands: serve, migrate, carry data in and out, audit."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from app import __version__, clock
from app.commands import (
    auditing,
    backing,
    carrying,
    jobs,
    keys,
    migrating,
    reporting,
    serving,
    simulating,
)
from app.commands.carrying import Format, Wanted, What
from app.commands.health import check_health
from app.commands.service import reach
from app.commands.sink import sink
from app.commands.trouble import FAILED, MISUSED, Trouble, plainly, read_settings
from app.logs import QUIET, set_up
from app.settings import Settings

cli = typer.Typer(
    name="membudget-server",
    help="Token budgets for AI agents. Without a command: serve.",
    epilog="Settings come from the environment: docs/settings.md names them all.",
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Database = Annotated[
    str | None,
    typer.Option(
        "--database-url",
        help="sqlite:///file.db or postgresql://user@host/name; "
        "in place of MEMBUDGET_DATABASE_URL.",
    ),
]
Host = Annotated[str | None, typer.Option(help="Address to listen on; in place of MEMBUDGET_HOST.")]
Port = Annotated[
    int | None,
    typer.Option(
        min=0, max=65535, help="Port to listen on, 0 for a free one; in place of MEMBUDGET_PORT."
    ),
]
Url = Annotated[
    str | None,
    typer.Option(help="Ask the service at this URL, whatever database it has."),
]
Workspace = Annotated[str, typer.Option(help="The workspace that it belongs to.")]


def say(text: str) -> None:
    """Tell whoever typed the command."""
    print(text, flush=True)


def warn(text: str) -> None:
    """Tell whoever typed the command, beside its output."""
    print(text, file=sys.stderr, flush=True)


def show_version(asked: bool) -> None:
    """Print the version and stop."""
    if asked:
        say(f"membudget-server {__version__}")
        raise typer.Exit


@cli.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    host: Host = None,
    port: Port = None,
    database_url: Database = None,
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Say which.")
    ] = False,
) -> None:
    """Serve, unless a command is named."""
    if context.invoked_subcommand is None:
        serve(host=host, port=port, database_url=database_url)
    elif (host, port, database_url) != (None, None, None):
        raise Trouble(
            f"Name the options after the command: membudget-server {context.invoked_subcommand} …",
            code=MISUSED,
        )


@cli.command()
def serve(host: Host = None, port: Port = None, database_url: Database = None) -> None:
    """Serve until SIGTERM or Ctrl+C.

    The database is created and migrated at start. A stop finishes the requests that are being
    answered; whatever was acknowledged is in the database. The log is JSON lines on stderr.

    Example: membudget-server serve --port 9000 --database-url sqlite:///books.db
    """
    set_up()
    serving.serve(
        read_settings(host=host, port=port, database_url=database_url), say=say, warn=warn
    )


@cli.command()
def migrate(
    revision: Annotated[str, typer.Option(help="Where to stop; head is this version's.")] = "head",
    down: Annotated[
        bool, typer.Option("--down", help="Go back to the revision; drops what is newer.")
    ] = False,
    database_url: Database = None,
) -> None:
    """Bring the schema of the database to this version.

    `serve` does so by itself; a PostgreSQL that a pooler stands before is migrated at
    MEMBUDGET_DATABASE_ADMIN_URL.

    Example: membudget-server migrate --database-url postgresql://membudget@db/membudget
    """
    set_up(level=QUIET)
    settings = read_settings(database_url=database_url)
    before, after = migrating.migrate(settings, revision=revision, down=down)
    say(f"at {after} already" if before == after else f"migrated from {before} to {after}")


@cli.command("import")
def import_(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE",
            help="Usage logs and memories (JSON Lines), a .claude/memory tree (.tar.gz), "
            "budget-profiles.json, memory-budget.yaml, Claude Code transcripts and LiteLLM spend "
            "logs (JSON, CSV) or a folder of them; - for stdin.",
        ),
    ],
    workspace: Workspace = "default",
    project: Annotated[
        str | None, typer.Option(help="The project that memories shall belong to.")
    ] = None,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace",
            help="A policy file replaces the policy, memories those of their projects; not merges.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only check and report; nothing is stored.")
    ] = False,
    url: Url = None,
    database_url: Database = None,
) -> None:
    """Import usage logs, memories, policy files, transcripts and spend logs.

    What a file is, is seen from its name and content. A line or file that was imported before is
    not added again. Of transcripts and spend logs the figures of each call are taken, no text.
    While a service runs on a SQLite file, the import goes through it. The exit
    code is 1 if a line was refused; the others are booked all the same.

    Example: membudget-server import budget-profiles.json budget-usage.jsonl

    Example: membudget-server import ~/.claude/projects
    """
    settings = _for_command(database_url)
    wanted = Wanted(
        workspace=workspace, project=project, replace=replace, dry_run=dry_run, now=clock.now()
    )
    work = carrying.import_all(
        lambda: reach(settings, url=url, warn=warn),
        files,
        wanted,
        out=Console(),
        screen=Console(stderr=True),
    )
    with plainly():
        if not asyncio.run(work):
            raise typer.Exit(FAILED)


@cli.command()
def export(
    what: Annotated[What, typer.Argument(help="What to write.")],
    workspace: Annotated[
        str | None,
        typer.Option(help="Of which workspace: default unless given (config as yaml: of all)."),
    ] = None,
    project: Annotated[
        str | None, typer.Option(help="Of allocations and memories: those of this project.")
    ] = None,
    format: Annotated[
        Format | None,
        typer.Option(
            help="usage: jsonl, csv; config: json, yaml; allocations: json, jsonl, csv; "
            "memories: jsonl, json. The first unless given."
        ),
    ] = None,
    output: Annotated[
        str, typer.Option("--output", "-o", help="The file to write; - is stdout.")
    ] = "-",
    url: Url = None,
    database_url: Database = None,
) -> None:
    """Write usage events, policy, allocations or memories to a file.

    Usage and memories are written as `import` reads them, newest first.

    Example: membudget-server export usage --format csv --output usage.csv
    """
    settings = _for_command(database_url)

    async def write() -> None:
        async with reach(settings, url=url, warn=warn) as client:
            await carrying.export(
                client, what, workspace=workspace, project=project, format=format, output=output
            )

    with plainly():
        asyncio.run(write())


@cli.command()
def report(
    html: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write it as one page that needs nothing.")
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print it as Markdown.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
    days: Annotated[
        float | None,
        typer.Option(min=0.001, max=36_500, help="Of the last days; of everything unless given."),
    ] = None,
    workspace: Annotated[str, typer.Option(help="Whose agents.")] = "default",
    url: Url = None,
    database_url: Database = None,
) -> None:
    """Say what agents need: tokens, the profile that would fit, what it saves.

    For every agent: runs, tokens needed (median, 95th percentile, largest), the smallest profile
    whose budget covers 95 of 100 runs, what it would have saved, and how often it would have been
    short. A table unless an option says otherwise.

    Example: membudget-server report --html out.html
    """
    if sum((html is not None, markdown, as_json)) > 1:
        raise Trouble("Choose one of --html, --markdown and --json.", code=MISUSED)
    settings = _for_command(database_url)
    form: reporting.Form = "markdown" if markdown else "json" if as_json else "table"
    form = form if html is None else "html"

    async def work() -> bytes:
        async with reach(settings, url=url, warn=warn) as client:
            return await reporting.fetch(client, form, workspace=workspace, days=days)

    with plainly():
        content = asyncio.run(work())
        if html is not None:
            with sink(html) as file:
                file.write(content)
    if html is not None:
        warn(f"{html}: open it in a browser")
    elif form == "table":
        reporting.show(content, Console())
    else:
        say(content.decode())


@cli.command()
def audit(
    workspace: Annotated[
        str | None, typer.Option(help="Only this one; all of them unless given.")
    ] = None,
    database_url: Database = None,
) -> None:
    """Compare all figures with the usage events.

    Every cell is recomputed and compared with what is kept; every finished allocation must have
    its usage event, and what budgets in USD have spent must be what their events cost. Reads
    only, one moment of the database, also while the service runs. The
    exit code is 1 if anything differs.

    Example: membudget-server audit --workspace default
    """
    settings = _for_command(database_url)
    found = auditing.audit_books(settings, workspace, Console(stderr=True))
    out = Console()
    out.print(auditing.summary(found))
    if any(one.faults for one in found):
        out.print(auditing.differences(found))
        raise typer.Exit(FAILED)
    say("The books are right.")


@cli.command()
def simulate(
    days: Annotated[int, typer.Option(min=1, max=3650, help="The last days.")] = 30,
    profile: Annotated[
        str | None, typer.Option(help="Every run of an agent under this profile.")
    ] = None,
    multiplier: Annotated[
        list[str] | None,
        typer.Option(metavar="TIER=NUMBER", help="Other multipliers; once for each tier."),
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option(help="A policy file laid over what holds: agents are resolved in it."),
    ] = None,
    agent: Annotated[str | None, typer.Option(help="Only runs of this agent.")] = None,
    hard: Annotated[
        bool, typer.Option("--hard", help="Nothing beyond a budget is loaded.")
    ] = False,
    workspace: Workspace = "default",
    json_: Annotated[bool, typer.Option("--json", help="Print the whole answer.")] = False,
    url: Url = None,
    database_url: Database = None,
) -> None:
    """Replay the recorded runs under another policy; nothing is changed.

    Without a profile, multipliers or a policy file: under the policy of the time, which
    reproduces the record. While a service runs on a SQLite file, it answers.

    Example: membudget-server simulate --days 30 --profile specialist-broad --agent dbt-expert
    """
    settings = _for_command(database_url)
    body = {
        "days": days,
        "profile": profile,
        "multipliers": simulating.read_multipliers(multiplier or ()),
        "policy": simulating.read_policy_file(policy),
        "agent": agent,
        "workspace": workspace,
        "enforcement": "hard" if hard else "soft",
    }

    async def work() -> simulating.Result:
        async with reach(settings, url=url, warn=warn) as client:
            return await simulating.simulate(client, body, Console(stderr=True))

    with plainly():
        result = asyncio.run(work())
    if json_:
        say(json.dumps(result, indent=2, ensure_ascii=False))
        return
    simulating.show(result, Console())


backup = typer.Typer(
    help="Make, list and restore backups of all workspaces.\n\n"
    "Example: membudget-server backup create"
)
cli.add_typer(backup, name="backup", no_args_is_help=True)


@backup.command("create")
def create_backup(url: Url = None, database_url: Database = None) -> None:
    """Back up all workspaces as they are at this moment.

    The file goes into the folder of MEMBUDGET_BACKUP_DIR. While a service runs on a SQLite file,
    the service makes it.

    Example: membudget-server backup create
    """
    settings = _for_command(database_url)

    async def work() -> None:
        async with reach(settings, url=url, warn=warn) as client:
            made = await backing.create(client)
            say(f"{made['id']}: {sum(made['tables'].values()):,} rows, {made['bytes']:,} bytes")

    with plainly():
        asyncio.run(work())


@backup.command("list")
def list_backups(url: Url = None, database_url: Database = None) -> None:
    """List the backups in the folder, newest first, and whether their bytes are intact.

    Example: membudget-server backup list
    """
    settings = _for_command(database_url)

    async def work() -> None:
        async with reach(settings, url=url, warn=warn) as client:
            for line in await backing.listed(client):
                say(line)

    with plainly():
        asyncio.run(work())


@backup.command("restore")
def restore_backup(
    id: Annotated[str, typer.Argument(metavar="ID", help="The backup, as `backup list` names it.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only read and check all of it.")
    ] = False,
    url: Url = None,
    database_url: Database = None,
) -> None:
    """Replace everything, in all workspaces, by what a backup holds.

    What is there is backed up first; the command says under which name. A backup of a SQLite
    database goes into PostgreSQL, too, and the other way round.

    Example: membudget-server backup restore bak_01m7y9m4mqsf76zvadmn5y_ae98hkdt
    """
    settings = _for_command(database_url)

    async def work() -> None:
        async with reach(settings, url=url, warn=warn) as client:
            done = await backing.restore(client, id, dry_run=dry_run)
            rows = f"{sum(done['tables'].values()):,} rows of {done['created_at']}"
            if dry_run:
                say(f"{id} can be restored: {rows}")
            else:
                say(f"restored {rows}; what was there before is {done['safety_backup']}")

    with plainly():
        asyncio.run(work())


job = typer.Typer(help="Run jobs, and see how they stand.\n\nExample: membudget-server job status")
cli.add_typer(job, name="job", no_args_is_help=True)


@job.command("run")
def run_job(
    name: Annotated[
        str,
        typer.Argument(
            metavar="JOB",
            help="daily, weekly, monthly (each with its report), retention, audit, backup.",
        ),
    ],
    url: Url = None,
    database_url: Database = None,
) -> None:
    """Run a job now, and say how it ended.

    It takes no scheduled run's place. While a service runs on a SQLite file, the service runs it.
    The exit code is 1 if it failed, or is being run already.

    Example: membudget-server job run weekly
    """
    settings = _for_command(database_url)

    async def work() -> bool:
        async with reach(settings, url=url, warn=warn) as client:
            ended = await jobs.run(client, name)
            say(jobs.told(ended))
            return bool(ended["status"] == "done")

    with plainly():
        if not asyncio.run(work()):
            raise typer.Exit(FAILED)


@job.command("status")
def show_jobs(url: Url = None, database_url: Database = None) -> None:
    """Show when each job runs, and how its last run ended.

    Times of day are of MEMBUDGET_TIMEZONE; with MEMBUDGET_SCHEDULER=off no job runs by itself.

    Example: membudget-server job status
    """
    settings = _for_command(database_url)

    async def work() -> None:
        async with reach(settings, url=url, warn=warn) as client:
            for line in await jobs.status(client):
                say(line)

    with plainly():
        asyncio.run(work())


key = typer.Typer(help="Make, list, rotate and revoke keys.\n\nExample: membudget-server keys list")
cli.add_typer(key, name="keys", no_args_is_help=True)

KeyId = Annotated[str, typer.Argument(metavar="ID", help="The key, as `keys list` names it.")]


@key.command("list")
def list_keys(url: Url = None, database_url: Database = None) -> None:
    """List keys, newest first: what each may do and where, when it ends, when it was used.

    While a service runs on a SQLite file, it is asked, with the key of MEMBUDGET_API_KEY or
    MEMBUDGET_ADMIN_KEY; else the database is opened, and no key is needed.

    Example: membudget-server keys list
    """
    settings = _for_command(database_url)

    async def work() -> None:
        async with reach(settings, url=url, warn=warn) as client:
            for line in await keys.listed(client):
                say(line)

    with plainly():
        asyncio.run(work())


@key.command("create")
def create_key(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the key is for.")],
    scope: Annotated[
        list[str], typer.Option(metavar="use|read|admin", help="What it may do; may be repeated.")
    ],
    workspace: Annotated[
        list[str] | None,
        typer.Option(help="A workspace that it is bound to; may be repeated. All unless given."),
    ] = None,
    expires_at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="When it ends (RFC 3339); else never."),
    ] = None,
    url: Url = None,
    database_url: Database = None,
) -> None:
    """Make a key and print its secret, this once.

    The first key turns authentication on: it must be admin, of all workspaces and without an end.

    Example: membudget-server keys create laptop --scope admin
    """
    settings = _for_command(database_url)

    async def work() -> None:
        async with reach(settings, url=url, warn=warn) as client:
            made = await keys.create(
                client,
                name=name,
                scopes=scope,
                workspaces=workspace or (),
                expires_at=expires_at,
            )
            warn(f"{made['id']}: keep the secret, it is not shown again")
            say(made["secret"])

    with plainly():
        asyncio.run(work())


@key.command("rotate")
def rotate_key(
    id: KeyId,
    grace_seconds: Annotated[
        int, typer.Option(min=0, help="How long the old secret is good, too.")
    ] = 86_400,
    url: Url = None,
    database_url: Database = None,
) -> None:
    """Give a key a new secret and print it, this once.

    Example: membudget-server keys rotate key_01m7y9m4mqsf76zvadmn5y_ae98hkdt --grace-seconds 3600
    """
    settings = _for_command(database_url)

    async def work() -> None:
        async with reach(settings, url=url, warn=warn) as client:
            made = await keys.rotate(client, id, grace_seconds)
            until = made["old_secret_until"]
            warn("the old secret is good no more" if until is None else f"the old one: to {until}")
            say(made["secret"])

    with plainly():
        asyncio.run(work())


@key.command("revoke")
def revoke_key(id: KeyId, url: Url = None, database_url: Database = None) -> None:
    """Let a key in no more: at once where it is asked, within seconds on other replicas.

    Example: membudget-server keys revoke key_01m7y9m4mqsf76zvadmn5y_ae98hkdt
    """
    settings = _for_command(database_url)

    async def work() -> None:
        async with reach(settings, url=url, warn=warn) as client:
            await keys.revoke(client, id)
            say(f"revoked {id}")

    with plainly():
        asyncio.run(work())


@cli.command()
def health(url: Url = None) -> None:
    """Ask a running service whether it is ready.

    The exit code is 1 if it is not.

    Example: membudget-server health --url http://127.0.0.1:8000
    """
    if not check_health(url or serving.own_url(read_settings()), say=say):
        raise typer.Exit(FAILED)


def _for_command(database_url: str | None) -> Settings:
    set_up(level=QUIET)
    return read_settings(database_url=database_url)


def main() -> None:
    """Run a command; what goes wrong as expected is one line and an exit code."""
    try:
        cli(prog_name="membudget-server")
    except Trouble as trouble:
        warn(f"membudget-server: {trouble}")
        sys.exit(trouble.code)


if __name__ == "__main__":
    main()
