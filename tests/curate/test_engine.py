from __future__ import annotations

import subprocess
import sys

import pytest

from limbeck.curate.engine import SHARED, Here, Pool, open_engine
from limbeck.errors import ConfigError, MissingExtraError


def test_one_worker_is_this_process_and_more_are_a_pool() -> None:
    assert isinstance(open_engine("local", 1), Here)
    assert isinstance(open_engine("local", 2), Pool)


def test_an_engine_that_there_is_not_is_named() -> None:
    with pytest.raises(ConfigError, match="no engine 'spark'; wanted one of local, ray"):
        open_engine("spark", None)
    with pytest.raises(ConfigError, match="workers is 0; wanted at least 1"):
        open_engine("local", 0)


def test_without_ray_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setitem(sys.modules, "ray.data", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'limbeck\[ray\]'"):
        open_engine("ray", None)


def test_a_pool_that_has_rested_works_again() -> None:
    pool = Pool(2)
    assert list(pool.map(abs, [-1, 2])) == [1, 2]
    pool.rest()
    assert list(pool.map(abs, [-3])) == [3]
    pool.close()


def test_what_workers_share_does_not_bring_polars_which_starts_threads() -> None:
    code = f"import sys, {', '.join(SHARED)}; print('polars' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
