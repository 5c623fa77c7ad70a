"""Figures as files."""

from PIL import Image

from jwst_fusion.quality.figures import save_figures


def write(path, data):
    """Write without ado."""
    path.write_bytes(data)


def test_figures_of_a_complete_product(content, tmp_path):
    paths = save_figures(content, tmp_path, "x_fused", write)
    names = ["images", "cube", "fused", "bands", "spectrum", "held_out", "residuals", "resolution"]
    assert [path.name for path in paths] == [f"x_fused_{name}.png" for name in names]
    for path in paths:
        with Image.open(path) as picture:
            assert min(picture.size) > 300
            low, high = picture.convert("L").getextrema()
            assert high - low > 100


def test_figures_of_a_bare_product(bare, tmp_path):
    paths = save_figures(bare, tmp_path, "x_fused", write)
    assert [path.name for path in paths] == ["x_fused_fused.png"]
