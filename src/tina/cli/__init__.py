"""The command line: parses, shows, and knows nothing else."""

import sys

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> None:
    """Run `tina` and exit with its code."""
    tokens = sys.argv[1:] if arguments is None else arguments
    if tokens == ["--version"]:
        # Answered before the parser is imported: people time this one.
        from tina import __version__

        sys.stdout.write(f"tina {__version__}\n")
        return
    from tina.cli.door import run

    sys.exit(run(tokens))
