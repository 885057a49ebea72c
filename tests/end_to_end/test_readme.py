"""What README tells people to run, run."""

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def test_the_library_examples_answer_and_watch_with_the_embedded_model() -> None:
    examples = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)

    asked, watched = (run_program(example) for example in examples)

    *said, ending = asked
    assert "".join(said).strip()
    assert ending == "complete, 1 conversation(s)"
    assert watched == ["Fruits 2 messages"]


def run_program(text: str) -> list[str]:
    """What it printed, by line."""
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_what_readme_links_to_exists() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README.read_text("utf-8"))

    assert links
    assert [link for link in links if not (README.parent / link).exists()] == []
