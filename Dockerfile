FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN python -m venv /opt/liveroom
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY gameplay gameplay
COPY liveroom liveroom
RUN /opt/liveroom/bin/python -m pip install --quiet -c constraints.txt '.[embedded,postgres]'

FROM python:3.13-slim
RUN useradd --system --uid 10001 --home-dir /data --create-home liveroom
COPY --from=build /opt/liveroom /opt/liveroom
ENV PATH=/opt/liveroom/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONSAFEPATH=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    LIVEROOM_HOST=0.0.0.0 \
    LIVEROOM_PORT=8000 \
    LIVEROOM_DATA=/data
WORKDIR /data
USER liveroom
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 CMD ["python", "-m", "liveroom.health"]
ENTRYPOINT ["liveroom"]
CMD ["run"]
