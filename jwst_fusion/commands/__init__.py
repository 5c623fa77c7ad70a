"""
Subcommands of ``jwst-fusion``, a module each.

``add_parser(commands)`` adds the subcommand to argparse's. ``run(arguments)`` imports what is heavy, does
what the user typed and returns the exit status, None for 0; a FusionError is shown in one line.
"""
