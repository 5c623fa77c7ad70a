"""Products of the package, as its commands open them."""

from contextlib import contextmanager
from pathlib import Path

__all__ = ["open_product", "opened_fused"]


def open_product(path, kind):
    """Open a product whose model is of a kind and check that it is whole; else an InputError."""
    from jwst_fusion import datamodels
    from jwst_fusion.exceptions import InputError, one_line

    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; give the path of a product of jwst_fusion")
    try:
        model = datamodels.open(str(path))
    except Exception as error:
        raise InputError(f"{path}: cannot be read as a product ({one_line(error)}); make it again") from error
    finding = None
    if not isinstance(model, datamodels.FusionModel):
        found = type(model).__name__
        finding = f"{found} is not a product of jwst_fusion; give a *_coreg, *_xcal or *_fused file"
    elif not isinstance(model, kind):
        finding = "not a fused cube; give a product of the fusion step, NAME_fused.fits"
    elif isinstance(model, datamodels.FusedCubeModel) and (lack := model.unfit()):
        finding = f"{lack}; make the fused cube again"
    if finding:
        model.close()
        raise InputError(f"{path}: {finding}")
    return model


@contextmanager
def opened_fused(product):
    """Open a fused cube as `open_product` and close it at the end; an open model stays open."""
    from jwst_fusion import datamodels

    if isinstance(product, datamodels.FusedCubeModel):
        yield product
    else:
        with open_product(product, datamodels.FusedCubeModel) as model:
            yield model
