"""`python -m tina` is `tina`."""

from tina.cli import main

if __name__ == "__main__":
    main()
