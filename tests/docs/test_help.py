"""What all subcommands have in common: help with an example and defaults, one spelling of options."""

import argparse
import shlex

import pytest

from jwst_fusion.cli import _build_parser, main


def subcommands():
    (choices,) = (a.choices for a in _build_parser()._actions if isinstance(a, argparse._SubParsersAction))
    return choices


NAMES = sorted(subcommands())


def options(name):
    return [action for action in subcommands()[name]._actions if action.option_strings]


@pytest.mark.parametrize("name", NAMES)
def test_the_help_ends_with_an_example_that_can_be_typed(name):
    text = subcommands()[name].format_help()
    before, example = text.split("example:\n")
    words = shlex.split(example)
    assert words[0] == "jwst-fusion"
    assert " ".join(words[1:]).startswith(name)
    assert _build_parser().parse_args(words[1:]).command == name
    assert "--verbose" in before
    assert "--traceback" in before


@pytest.mark.parametrize("name", NAMES)
def test_the_help_shows_defaults_and_choices(name):
    parser = subcommands()[name]
    formatter = parser._get_formatter()
    for action in options(name):
        text = formatter._expand_help(action)
        assert text, action.option_strings
        if action.nargs != 0 and not action.required:
            assert "default" in text, action.option_strings
        if action.default not in (None, False, "", [], argparse.SUPPRESS):
            assert f"(default: {action.default})" in text, action.option_strings
        if action.choices:
            assert all(choice in parser.format_help() for choice in action.choices)


@pytest.mark.parametrize("name", NAMES)
def test_options_have_one_spelling(name):
    spelled = [word for action in options(name) for word in action.option_strings]
    assert not [word for word in spelled if "_" in word]
    assert "_" not in subcommands()[name].format_usage().replace("_asn", "")


def test_options_of_one_name_mean_the_same():
    kinds = {}
    for name in NAMES:
        for action in options(name):
            kinds.setdefault(action.option_strings[-1], set()).add((type(action), action.metavar))
    assert not {word: kind for word, kind in kinds.items() if len(kind) > 1}


@pytest.mark.parametrize(
    ("typed", "attribute", "value"),
    [
        ("check x_asn.json --output_dir=o_1", "output_dir", "o_1"),
        ("check x_asn.json --max_memory 2", "max_memory", 2.0),
        ("report x_fused.fits --output_dir o", "output_dir", "o"),
        ("lines x_fused.fits --list --output_dir o", "output_dir", "o"),
        ("batch m.json --parameter_file=p_1.asdf --parameter steps.fusion.n_components=2", "parameter_file",
         "p_1.asdf"),
        ("info --log -- --x_fused.fits", "file", "--x_fused.fits"),
    ],
)  # fmt: skip
def test_underscores_are_understood(typed, attribute, value):
    assert getattr(_build_parser().parse_args(typed.split()), attribute) == value


def test_status_has_a_help_of_its_own(capsys):
    with pytest.raises(SystemExit):
        main(["batch", "status", "--help"])
    text = capsys.readouterr().out
    assert text.startswith("usage: jwst-fusion batch status")
    assert "--submit" not in text


def test_verbose_prints_the_log_of_the_package(capsys, tmp_path):
    command = ["associate", str(tmp_path / "x_s3d.fits")]
    assert main(command) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert main([*command, "--verbose"]) == 1
    text = capsys.readouterr().err
    assert "DEBUG jwst_fusion" in text
    assert "Traceback" not in text
    assert main([*command, "--traceback"]) == 1
    text = capsys.readouterr().err
    assert "Traceback" in text
    assert text.splitlines()[-1].startswith("jwst-fusion: error: ")
