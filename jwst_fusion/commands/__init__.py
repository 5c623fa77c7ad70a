"""Subcommands of ``jwst-fusion``, a module each: ``add_parser(commands)`` describes, ``run`` does."""
