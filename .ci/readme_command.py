"""Print a command of README.md as it is written: `python3 .ci/readme_command.py demo`.

The command is the bash block that follows the comment ``<!-- ci: NAME -->``.
"""

import re
import sys
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"


def readme_command(text: str, name: str) -> str:
    """Find the one command of that name; SystemExit where it is not there exactly once."""
    pattern = rf"^<!-- ci: {re.escape(name)} -->\n+```bash\n(.*?)^```$"
    found = re.findall(pattern, text, flags=re.MULTILINE | re.DOTALL)
    if len(found) != 1 or not found[0].strip():
        raise SystemExit(f"README.md has {len(found)} commands marked 'ci: {name}', not one")
    command: str = found[0]
    return command


if __name__ == "__main__":
    sys.stdout.write(readme_command(README.read_text(encoding="utf-8"), sys.argv[1]))
