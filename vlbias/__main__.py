"""`python -m vlbias` is the command line."""

from vlbias.cli import main

if __name__ == "__main__":
    main()
