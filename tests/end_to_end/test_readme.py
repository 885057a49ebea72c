"""What README tells people to run, run."""

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def test_the_library_example_answers_with_the_embedded_model() -> None:
    example = re.search(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    assert example is not None

    done = subprocess.run(
        [sys.executable, "-c", example[1]], capture_output=True, text=True, timeout=120
    )

    assert (done.returncode, done.stderr) == (0, "")
    *said, ending = done.stdout.splitlines()
    assert "".join(said).strip()
    assert ending == "complete, 1 conversation(s)"


def test_what_readme_links_to_exists() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README.read_text("utf-8"))

    assert links
    assert [link for link in links if not (README.parent / link).exists()] == []
