"""``python -m ccrouter``."""

from ccrouter.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
