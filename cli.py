"""Start the command line from a checkout: `python cli.py …` is `mtspam …`."""

from mtspam.commands.main import main

if __name__ == "__main__":
    main()
