FROM python:3.13-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
RUN python -m venv /opt/alertbridge
COPY requirements.lock requirements-build.in ./
RUN /opt/alertbridge/bin/python -m pip install --require-hashes -r requirements.lock
COPY pyproject.toml README.md ./
COPY src/ src/
# What is only needed to build goes again; without pip nothing can be added later.
RUN /opt/alertbridge/bin/python -m pip install --no-deps --no-build-isolation . \
    && /opt/alertbridge/bin/python -m pip uninstall --yes -r requirements-build.in pip

FROM python:3.13-slim
COPY --from=build /opt/alertbridge /opt/alertbridge
RUN groupadd --gid 10001 alertbridge \
    && useradd --uid 10001 --gid 10001 --home-dir /var/lib/alertbridge --no-create-home --shell /usr/sbin/nologin alertbridge \
    && install --directory --owner=10001 --group=10001 --mode=0700 /var/lib/alertbridge \
    && install --directory /etc/alertbridge
# A relative `storage.url` lies in STATE_DIRECTORY, a relative `*_file` in CREDENTIALS_DIRECTORY: mount the
# configuration at /etc/alertbridge and secrets at /run/secrets.
ENV PATH=/opt/alertbridge/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    STATE_DIRECTORY=/var/lib/alertbridge \
    CREDENTIALS_DIRECTORY=/run/secrets
USER 10001:10001
WORKDIR /var/lib/alertbridge
VOLUME /var/lib/alertbridge
# The configuration must say `server.listen: 0.0.0.0:9797` to be reached from outside the container.
EXPOSE 9797
# Replace it where the configuration serves TLS or another port.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "from urllib.request import ProxyHandler, build_opener; build_opener(ProxyHandler({})).open('http://127.0.0.1:9797/-/healthy', timeout=3)"]
# Draining takes up to `server.drain_timeout` (30 s): stop with `docker stop --time 60`.
STOPSIGNAL SIGTERM
ENTRYPOINT ["alertbridge"]
CMD ["serve", "--config", "/etc/alertbridge/alertbridge.yaml"]
