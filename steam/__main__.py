"""`python -m steam`."""

from steam.cli import main

main()
