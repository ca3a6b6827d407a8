# The wheel is built in one stage; the other has the wheel, what it depends on, and nothing else.
FROM python:3.13-slim-bookworm AS build
WORKDIR /source
COPY . .
ENV SOURCE_DATE_EPOCH=1767225600
RUN pip install --no-cache-dir build==1.6.1 \
    && python -m build --wheel --outdir /wheel \
    && python -m venv /opt/ro32 \
    && /opt/ro32/bin/pip install --no-cache-dir --constraint constraints.txt /wheel/*.whl \
    && /opt/ro32/bin/ro32-bundle verify cs.RO

FROM python:3.13-slim-bookworm
COPY --from=build /opt/ro32 /opt/ro32
# A user without a name, a home or any right; the file system may be read-only.
USER 10001:10001
ENV PATH=/opt/ro32/bin:$PATH PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
WORKDIR /data
VOLUME /data
HEALTHCHECK --interval=5m --timeout=30s --retries=1 CMD ["ro32-bundle", "verify", "cs.RO"]
ENTRYPOINT ["ro32-score"]
CMD ["--help"]
