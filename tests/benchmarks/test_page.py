"""Pages that tables are written into: refused before anything is measured."""

from pathlib import Path
from types import ModuleType

import pytest

from benchmarks import estimators, estimators_speed, peers, recipes, roofline, speedrun
from benchmarks.page import write


@pytest.mark.parametrize("command", [estimators, estimators_speed, peers, recipes, roofline, speedrun])
@pytest.mark.parametrize(("page", "why"), [("missing.md", "No such file"), ("page.md", "has no <!--")])
def test_a_page_without_markers_is_refused_first(
    command: ModuleType, page: str, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "page.md").write_text("<!-- peer:begin --><!-- peer:end -->")
    with pytest.raises(SystemExit) as left:
        command.main(["--write", str(tmp_path / page)])
    out, err = capsys.readouterr()
    assert left.value.code == 2
    assert out == ""
    assert why in err.splitlines()[-1]


def test_only_what_is_between_the_markers_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a<!-- x:begin -->b<!-- x:end -->c<!-- y:begin -->d<!-- y:end -->\n")
    write(page, "x", "new")
    assert page.read_text() == "a<!-- x:begin -->\nnew\n<!-- x:end -->c<!-- y:begin -->d<!-- y:end -->\n"
