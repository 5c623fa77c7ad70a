"""Names of the products of several cubes."""

from jwst_fusion import datamodels

__all__ = ["named_by_grating"]


def named_by_grating(model, options):
    """
    Name a product that is one of several by its grating, in place of its number; that of all by none.

    Parameters
    ----------
    model : DataModel
        The product.
    options : dict
        Options of `jwst.stpipe.Step.save_model`.

    Returns
    -------
    dict
        The options for this product.
    """
    if options.get("idx") is None or not isinstance(model, datamodels.FusionModel):
        return options
    return options | {"idx": model.meta.fusion.set_member}
