# An image with jwst_fusion and its console scripts. From the top of the repository:
#
#   docker build -t jwst_fusion .
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/data" jwst_fusion strun calwebb_fusion4 NAME_asn.json
#
# Version and dependencies are those of setup.cfg.
ARG PYTHON=3.12

FROM python:${PYTHON}-slim AS build
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
WORKDIR /source
COPY pyproject.toml setup.cfg README.md LICENSE MANIFEST.in ./
COPY jwst_fusion jwst_fusion
RUN pip install --no-cache-dir .

FROM python:${PYTHON}-slim
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH \
    MPLCONFIGDIR=/tmp/matplotlib \
    OMP_NUM_THREADS=1
# Any user may run it: outputs belong to the one that docker run names.
WORKDIR /data
USER 1000
CMD ["jwst-fusion", "--help"]
