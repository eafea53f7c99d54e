"""One file per command of `steam`."""
