"""`alertbridge test`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from alertbridge.cli.options import config_option, load_or_exit
from alertbridge.cli.taught import Taught

_NO_TESTS = "There are no tests: write them under `tests:`, beside the rules."


@click.command(
    cls=Taught,
    examples=(
        "alertbridge test",
        "alertbridge test --run checkout",
        "alertbridge test --require-coverage --junit rules.xml",
    ),
)
@config_option
@click.option("--run", metavar="SUBSTRING", help="Only the tests with this in their name, in any case.")
@click.option(
    "--require-coverage", is_flag=True, help="Exit with 1 too if there is a rule that no test reaches."
)
@click.option(
    "--junit",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write JUnit's XML there too.",
)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def test(config: Path, run: str | None, junit: Path | None, *, require_coverage: bool, as_json: bool) -> None:
    """Run the tests that stand beside the rules.

    Each of `tests:` is heard and decided as the daemon would, on a clock of its own, and what would be sent is held against what the test expects. Nothing is sent, nothing is stored. The exit status is 1 if a test fails, or if --run names none.
    """
    from alertbridge.cli.trial import report  # noqa: PLC0415 - heavy with its fellows, and `--help` is to be quick
    from alertbridge.cli.trial.run import cover  # noqa: PLC0415 - see above
    from alertbridge.cli.trial.run import run as play  # noqa: PLC0415 - see above
    from alertbridge.config.secrets import Redactor  # noqa: PLC0415 - see above
    from alertbridge.parts import bridge  # noqa: PLC0415 - see above

    if run is not None and require_coverage:
        raise click.UsageError(
            "--run leaves out tests, so --require-coverage would say nothing: give one of them"
        )
    configuration = load_or_exit(config)
    parts = bridge(configuration)
    wanted = (run or "").casefold()
    trials = [one for one in configuration.trials if wanted in one.settings.name.casefold()]
    results = [play(parts, trial, read=Path.read_bytes) for trial in trials]
    coverage = cover(parts, results)
    failed = any(result.differences for result in results)
    good = not failed and not (require_coverage and coverage.unreached) and bool(results or run is None)
    clean = Redactor(configuration.secrets).clean
    if junit is not None:
        _write(junit, clean(report.as_junit(results)))
    if as_json:
        click.echo(
            clean(json.dumps(report.as_json(results, coverage, good=good), indent=2, ensure_ascii=False))
        )
    elif results:
        click.echo(clean(report.as_text(results, coverage)))
    else:
        click.echo(f'No test has "{run}" in its name.' if configuration.trials else _NO_TESTS)
        if require_coverage:
            click.echo(report.coverage_line(coverage))
    if not good:
        raise click.exceptions.Exit(1)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}; name a file that can be written") from error
