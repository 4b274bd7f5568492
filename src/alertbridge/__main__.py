"""`python -m alertbridge` is the same as `alertbridge`."""

from alertbridge.cli.main import main

if __name__ == "__main__":
    main()
