"""`cgtool sources suggest`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..console import command, plain, say

app = typer.Typer(help="Sources tables.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Sources tables."""


@app.command("suggest")
@command
def suggest(
    out: Annotated[Path, typer.Option("--out", help="The sources table to write, a CSV file.")],
    city: Annotated[list[str] | None, typer.Option(help="Search for this city; may be given several times.")] = None,
    data: Annotated[Path | None, typer.Option(help="A data set to fill up: its smallest cities come first.")] = None,
    count: Annotated[int, typer.Option(help="Candidates in all.")] = 20,
    per_city: Annotated[int | None, typer.Option(help="Candidates of one city at most.")] = None,
    min_minutes: Annotated[float, typer.Option(help="Shorter videos are left out.")] = 10.0,
    max_minutes: Annotated[float, typer.Option(help="Longer videos are left out.")] = 20.0,
    taxonomy: Annotated[Path | None, typer.Option(help="With --data: fill up the cities of this taxonomy too.")] = None,
    search: Annotated[str, typer.Option(help="yt-dlp's name of a search.")] = "ytsearch",
    lookup: Annotated[
        bool, typer.Option("--lookup/--no-lookup", help="Ask for each candidate's licence and date, one request each.")
    ] = True,
    rate: Annotated[float, typer.Option(help="Searches and look-ups an hour at most.")] = 300.0,
    cookies: Annotated[Path | None, typer.Option(help="Netscape cookie file, read only.")] = None,
    proxy: Annotated[str | None, typer.Option(help="Proxy url.")] = None,
    allow_private_hosts: Annotated[
        bool, typer.Option("--allow-private-hosts", help="Also ask loopback and private hosts.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Write over a table that is there, once something is found.")
    ] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Search for walking and driving tours and write them as a sources table to choose from. Downloads nothing.

    Watch what you take: a search does not know where a video was filmed, nor what its maker allows.
    """
    from cityguessr_data.media.search import search_config
    from cityguessr_data.suggest.config import SuggestConfig
    from cityguessr_data.suggest.suggesting import suggest as look

    from ..suggest_summary import show_pace, show_suggestions

    config = SuggestConfig(
        table=out,
        cities=tuple(city or ()),
        data=data,
        taxonomy=taxonomy,
        n_videos=count,
        most_per_city=per_city,
        min_duration_s=60 * min_minutes,
        max_duration_s=60 * max_minutes,
        search=search,
        look_up=lookup,
        replace=replace,
        network=search_config(rate, cookies, proxy, allow_private_hosts),
    )
    show_pace(config)
    result = look(config, listener=lambda line: say(plain(line)))
    show_suggestions(config, result, as_json=json_)
    return result.exit_code
