"""Write the Python examples of the README to files: ``python scripts/readme_examples.py FOLDER``."""

import re
import sys
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"


def examples() -> list[str]:
    """Return the source of each Python example, in the order of the page."""
    return re.findall(r"^```python\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for number, source in enumerate(examples()):
        (folder / f"example_{number}.py").write_text(source)
