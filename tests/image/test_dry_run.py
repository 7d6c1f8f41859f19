"""What the Dockerfile builds runs as compose.yaml starts it: healthy, one room on two nodes, gone when told."""

import json
import re
import shutil
import time
from collections.abc import Iterator

import pytest

from liveroom.tokens import mint
from tests.image.dry_run import Composed, Failed, Image, fresh
from tests.image.recipe import nodes

SECRET, METRICS = "a secret of the dry run, of 32 bytes or more", "metrics-of-a-dry-run"
SECRETS = {"LIVEROOM_SECRET": SECRET, "LIVEROOM_METRICS_TOKEN": METRICS}
NO_INDEX = re.compile(r"No matching distribution|Could not find a version|Connection|Temporary failure|Max retries")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    root = tmp_path_factory.mktemp("image")
    try:
        yield fresh(root)
    except Failed as why:
        if NO_INDEX.search(str(why)):
            pytest.skip("needs a package index: connect to one")
        raise
    finally:
        shutil.rmtree(root)  # hundreds of megabytes


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_image_runs_as_it_is_composed(image: Image):
    assert [step.split()[0] for step in image.left_out] == ["useradd"]
    composed = Composed(image, SECRETS)
    one, two = nodes()
    service = mint(
        SECRET,
        sub="shop",
        room="*",
        role="service",
        ttl_s=600,
        now_s=time.time(),
        audience="liveroom",
        issuer="liveroom",
    )
    try:
        composed.start()
        assert composed.get(one, "/v1/rooms", service, b'{"id":"one","title":"One"}')[0] == 201
        assert json.loads(composed.get(two, "/v1/rooms/one", service)[1])["title"] == "One"
        for name in (one, two):
            assert json.loads(composed.get(name, "/readyz", "")[1]) == {"ready": True}
            assert b"liveroom_ready 1.0" in composed.get(name, "/metrics", METRICS)[1]
    finally:
        codes = composed.stop()
    assert codes == {one: 0, two: 0, "redis": 0}
    assert not composed.running[one].answers(composed.health())
    for name in (one, two):
        said = composed.running[name].log.read_text().splitlines()
        assert [json.loads(line)["level"] for line in said].count("error") == 0, said
