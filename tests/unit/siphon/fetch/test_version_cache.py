"""The remembered versions."""

from __future__ import annotations

import os
from pathlib import Path

from lab.siphon.fetch import version_cache
from lab.siphon.fetch.servers import Server
from lab.siphon.protocol import versions


def test_the_cache_may_fail_in_every_way(tmp_path: Path) -> None:
    server = Server("h")
    assert version_cache.recall(None, server) is None
    version_cache.remember(None, server, versions.V24_11)
    version_cache.remember("/proc/nowhere", server, versions.V24_11)
    place = tmp_path / "cache"
    version_cache.remember(str(place), server, versions.V24_11)
    (file,) = place.iterdir()
    assert version_cache.recall(str(place), server) is versions.V24_11
    os.utime(file, (1, 1))
    assert version_cache.recall(str(place), server) is None  # too old
    file.write_text("nonsense" * 9)
    assert version_cache.recall(str(place), server) is None
    version_cache.forget(str(place), server)
    assert list(place.iterdir()) == []
    assert version_cache.directory({"XDG_CACHE_HOME": "/x"}) == "/x/siphon"
    assert version_cache.directory({"HOME": "/h", "XDG_CACHE_HOME": "relative"}) == "/h/.cache/siphon"
    assert version_cache.directory({}) is None
