"""`python -m rtdecode.cli`."""

from rtdecode.cli import main

main()
