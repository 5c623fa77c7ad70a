"""The parser of the console command and of its subcommands: help with defaults and an example."""

import argparse
import sys

__all__ = ["HelpFormatter", "Parser"]

#: First line of an example in the help.
EXAMPLE = "example:"


class HelpFormatter(argparse.HelpFormatter):
    """Help that shows defaults and keeps the lines of the example."""

    def _fill_text(self, text, width, indent):
        """Wrap a paragraph, but not the example."""
        if text.startswith(EXAMPLE):
            return "\n".join(indent + line for line in text.splitlines())
        return super()._fill_text(text, width, indent)

    def _get_help_string(self, action):
        """Add the default, unless the text says what it is or there is none to show."""
        text, default = action.help or "", action.default
        optional = action.option_strings or action.nargs == argparse.OPTIONAL
        nothing = default is None or default is False or default in ("", [], argparse.SUPPRESS)
        return text if "default" in text or nothing or not optional else f"{text} (default: %(default)s)"


class Parser(argparse.ArgumentParser):
    """
    Parser of a command, with an example in its help.

    Options are spelled with hyphens; underscores, as ``strun`` has them, are accepted. ``pairs`` holds the
    subcommands of two words, such as ``batch status``.
    """

    def __init__(self, *, example="", **kwargs):
        kwargs.setdefault("formatter_class", HelpFormatter)
        if example:
            kwargs["epilog"] = f"{EXAMPLE}\n  {example}"
        super().__init__(**kwargs)
        self.pairs: set[str] = set()

    def parse_known_args(self, args=None, namespace=None):
        """Parse arguments as argparse does, with hyphens in place of the underscores of options."""
        words = list(sys.argv[1:] if args is None else args)
        end = words.index("--") if "--" in words else len(words)
        words[:end] = map(_hyphenated, words[:end])
        if " ".join(words[:2]) in self.pairs:
            words[:2] = [" ".join(words[:2])]
        return super().parse_known_args(words, namespace)


def _hyphenated(word):
    """Argument with hyphens for underscores in the name of its option."""
    if not word.startswith("--"):
        return word
    option, equals, value = word.partition("=")
    return option.replace("_", "-") + equals + value
