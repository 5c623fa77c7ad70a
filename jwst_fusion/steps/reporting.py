"""Steps that write the report of a fused cube beside it."""

import logging
from pathlib import Path

from jwst_fusion import adapters, datamodels
from jwst_fusion.atomic import write_atomic
from jwst_fusion.exceptions import one_line
from jwst_fusion.quality.verdict import judge, measure

__all__ = ["ReportMixin", "tell_failure"]

log = logging.getLogger(__name__)


class ReportMixin:
    """Mixin of a step that saves a fused cube."""

    def report_options(self):
        """Return whether the page, and whether the figures, are written beside the product."""
        return self.save_report, self.save_figures

    def save_model(self, model, *args, **kwargs):
        """
        Save a product as stpipe does, and if it is a fused cube its report beside it.

        If the report fails, a warning is logged, the keyword FUSREPRT says so, and the product is saved.
        """
        kwargs = self.named_by_grating(model, kwargs)
        is_saved = kwargs.get("force") or self.save_results or kwargs.get("output_file") or self.output_file
        if not (is_saved and isinstance(model, datamodels.FusedCubeModel)):
            return super().save_model(model, *args, **kwargs)
        save_report, save_figures = self.report_options()
        content = page = verdict = None
        state = "SKIPPED"
        try:
            content = adapters.report_content(model, name=self._product_name(model, kwargs))
            verdict = judge(measure(content))
            model.set_fusion(verdict=verdict.level, verdict_reasons=" | ".join(verdict.findings) or None)
            if save_report:
                from jwst_fusion.quality.report import report_page

                page = report_page(content)
                log.debug("Made the report, %.1f MB", len(page) / 1e6)
                state = "COMPLETE"
        except Exception as error:  # noqa: BLE001 - whatever it is, the fused cube is worth more
            state = tell_failure("The report", error)
        model.meta.fusion.report = state
        output_path = super().save_model(model, *args, **kwargs)
        if page is not None:
            self._write_page(Path(output_path).with_suffix(".html"), page)
        if save_figures and content is not None:
            self._write_figures(Path(output_path), content)
        if verdict is not None:
            log.info("Verdict: %s. %s", verdict.level.upper(), verdict.sentence)
            for finding in verdict.findings:
                log.info("%s", finding)
        return output_path

    def _product_name(self, model, options):
        """Name of the file that the product is going to have."""
        base = options.get("output_file") or self.output_file
        if self.output_use_model or (base is None and not self.search_output_file):
            base = model.meta.filename
        path = self.make_output_path(
            basepath=base, **{key: options[key] for key in ("suffix", "idx") if key in options}
        )
        return Path(path).name

    def _write_page(self, path, page):
        """Write the page; without it the product is as good."""
        try:
            write_atomic(path, page.encode("utf-8"))
        except OSError as error:
            tell_failure("The report", error)
            return
        log.info("Saved report in %s", path)

    def _write_figures(self, product, content):
        """Write the figures; without them the product is as good."""
        from jwst_fusion.quality.figures import save_figures

        try:
            paths = save_figures(content, product.parent, product.stem, write_atomic)
        except Exception as error:  # noqa: BLE001 - whatever it is, the fused cube is worth more
            tell_failure("Figures", error)
            return
        log.info("Saved %d figures %s_*.png", len(paths), product.stem)


def tell_failure(what, error):
    """Log that something beside the product failed; return FAILED, for the keyword."""
    log.warning(
        "%s cannot be made (%s: %s); the product is not affected",
        what, type(error).__name__, one_line(error),
    )  # fmt: skip
    log.debug("The error came from here:", exc_info=error)
    return "FAILED"
