"""The command line: parses, shows, and knows nothing else."""

import contextlib
import sys

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> None:
    """Run `tina` and exit with its code."""
    tokens = sys.argv[1:] if arguments is None else arguments
    if tokens == ["--version"] and sys.stdout is not None:
        # Answered before the parser is imported: people time this one.
        from tina import __version__

        with contextlib.suppress(OSError):  # below it fails again, and is told
            sys.stdout.write(f"tina {__version__}\n")
            sys.stdout.flush()
            return
    try:
        from tina.cli.door import run

        code = run(tokens)
    except KeyboardInterrupt:  # while modules are loaded, or on the way out
        code = 130
    sys.exit(code)
