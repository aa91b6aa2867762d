"""`fastnn VERB`: every verb is a module and a command, and says how it is used at once."""

import json
import subprocess
import sys

import pytest

from fastnn.__main__ import VERBS, main


@pytest.mark.parametrize("verb", VERBS)
def test_help_imports_nothing_slow(verb: str) -> None:
    command = [sys.executable, "-m", f"fastnn.{verb}", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"usage: fastnn.{verb}" in done.stdout
    assert "--json" in done.stdout
    show = f"import sys, json, fastnn.{verb}; print(json.dumps(list(sys.modules)))"
    modules = json.loads(subprocess.run([sys.executable, "-c", show], capture_output=True, check=True).stdout)
    assert not {"numpy", "numba", "tqdm", "safetensors", "matplotlib", "onnx", "PIL"} & set(modules)


def test_the_list_of_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    for argv in ([], ["--help"]):
        assert main(argv) == 0
        lines = capsys.readouterr().out.splitlines()[2 : 2 + len(VERBS)]
        assert all(line.startswith(f"  {verb} ") for verb, line in zip(VERBS, lines, strict=True))


def test_an_unknown_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fly"]) == 2
    assert capsys.readouterr().err.startswith("fastnn: error: 'fly' is no command; expected one of train, evaluate")


@pytest.mark.parametrize("argv", [["evaluate", "--help"], ["train", "--list-recipes"]])
def test_a_reader_that_has_seen_enough(argv: list[str]) -> None:
    """As `fastnn train --list-recipes | head -1`."""
    code = "import builtins, functools, sys; builtins.print = functools.partial(print, flush=True)\n"
    code += f"from fastnn.__main__ import main; sys.exit(main({argv}))"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    _, err = process.communicate()
    assert b"Traceback" not in err
    if argv[0] == "train":  # --help leaves another way
        assert (process.returncode, err) == (1, b"")
