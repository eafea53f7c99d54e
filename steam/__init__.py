"""The command line `steam`, its configuration, and the one-machine deployment."""
