"""The verb that serves, and those about who may call: keys create, list, revoke; audit."""

from __future__ import annotations

import getpass
from typing import Annotated, Any

import typer

from honewheel.cli import show
from honewheel.cli.app import app, wheel
from honewheel.errors import MissingExtra
from honewheel.records import Deed, as_dict

keys = typer.Typer(no_args_is_help=True, help="API keys: who may call the server, and as what.")
app.add_typer(keys, name="keys", rich_help_panel=None)

_PACKAGES = (
    "starlette",
    "uvicorn",
    "uvloop",
    "httptools",
    "msgspec",
    "httpx2",
    "prometheus_client",
)


@app.command()
def serve(
    context: typer.Context,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; server.host by default.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, help="Port; server.port by default, 0 takes a free one."),
    ] = None,
    no_worker: Annotated[
        bool, typer.Option("--no-worker", help="Leave cycles to `honewheel worker` elsewhere.")
    ] = False,
    as_json: show.Json = False,
) -> None:
    """Serve feedback API, gateway and a worker until stopped."""
    from importlib.util import find_spec

    for package in _PACKAGES:
        if find_spec(package) is None:
            raise MissingExtra("The server", package, "server")
    from honewheel.server.run import serve as run

    project = wheel(context)

    def listening(address: str) -> None:
        if as_json:
            show.out({"url": address})
        show.say(f"honewheel listens on {address}   (OpenAI base_url: {address}/v1)")

    with show.run_log(project.config.root, "serve", lines=True):
        run(project, host=host, port=port, worker=not no_worker, listening=listening)
    show.say("stopped; everything acknowledged is on disk")


@keys.command("create")
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What the audit log calls it; never used again.")],
    role: Annotated[
        str, typer.Option(help="writer, reviewer, operator or admin.", show_default=True)
    ] = "writer",
    rate: Annotated[
        float | None, typer.Option(help="Requests (rows) a second; server.rate by default.")
    ] = None,
    as_json: show.Json = False,
) -> None:
    """Make a key and show it, once. From the first key on, every call needs one."""
    from honewheel.server import keys as secrets

    project = wheel(context)
    found, text = secrets.new(name, role, rate=rate, now=project.clock())
    project.store.keys.create(found)
    _told(project, "keys create", {"name": name, "role": role})
    if as_json:
        show.out(_public(as_dict(found)) | {"key": text})
        return
    typer.echo(text)
    show.say(f"{name} may do what a {role} may. The key is not kept: store it now.")


@keys.command("list")
def list_(context: typer.Context, as_json: show.Json = False) -> None:
    """List the keys; what they are is not kept."""
    found: list[dict[str, Any]] = [
        _public(as_dict(key)) for key in wheel(context).store.keys.list()
    ]
    if as_json:
        show.out(found)
        return
    if not found:
        show.say("There is no key: whoever reaches the loopback address may do everything.")
        return
    show.table(
        ["name", "role", "rate", "made", "revoked"],
        [
            [
                one["name"],
                one["role"],
                "" if one["rate"] is None else f"{one['rate']:g}/s",
                one["created_at"][:16].replace("T", " "),
                (one["revoked_at"] or "")[:16].replace("T", " "),
            ]
            for one in found
        ],
    )


@keys.command("revoke")
def revoke(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Name or id of the key.")],
    as_json: show.Json = False,
) -> None:
    """End a key; a running server knows within a second."""
    project = wheel(context)
    found = project.store.keys.revoke(name, project.clock())
    _told(project, "keys revoke", {"name": found.name})
    if as_json:
        show.out(_public(as_dict(found)))
    else:
        show.say(f"{found.name} is revoked")


@app.command()
def audit(
    context: typer.Context,
    actor: Annotated[
        str | None,
        typer.Option("--by", help="Only what this key, cli:USER or honewheel:watch did."),
    ] = None,
    last: Annotated[int, typer.Option(min=1, help="How many lines, the newest.")] = 40,
    as_json: show.Json = False,
) -> None:
    """Who changed what over HTTP, and what the watch did by itself."""
    found = [as_dict(deed) for deed in wheel(context).store.audit.list(last, actor)]
    if as_json:
        show.out(found)
        return
    if not found:
        by = "" if actor is None else f" by {actor}"
        show.say(f"Nothing was changed over HTTP{by}, and no key made or revoked.")
        return
    show.table(
        ["at", "who", "what", "outcome", "detail"],
        [
            [
                one["at"][:19].replace("T", " "),
                one["actor"],
                one["action"],
                one["outcome"],
                ", ".join(f"{key} {value}" for key, value in one["detail"].items()),
            ]
            for one in found
        ],
    )


def _public(key: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in key.items() if name != "hash"}


def _told(project: Any, action: str, detail: dict[str, str]) -> None:
    deed = Deed(
        at=project.clock(), actor=f"cli:{_me()}", action=action, outcome="done", detail=detail
    )
    project.store.audit.add(deed)


def _me() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in a container
        return "unknown"
