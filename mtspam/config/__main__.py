"""Print docs/configuration.md: `python -m mtspam.config > docs/configuration.md`."""

import sys

from mtspam.config.document import configuration_page

if __name__ == "__main__":
    sys.stdout.write(configuration_page())
