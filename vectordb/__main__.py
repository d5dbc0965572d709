"""`python -m vectordb`: the command line."""

from vectordb.cli import main

if __name__ == "__main__":
    main()
