"""The page in a browser at the width of a phone."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.browser

_WRAPPER = """<!doctype html><body style="margin:0">
<iframe style="width:360px;height:800px;border:0" srcdoc="{page}"></iframe>
<script>
addEventListener("load", () => {{
  const page = document.querySelector("iframe").contentDocument;
  const said = {{ width: page.documentElement.scrollWidth, sizes: [], clashes: [] }};
  for (const drawing of page.querySelectorAll("svg.figure")) {{
    const scale = drawing.getBoundingClientRect().width / drawing.viewBox.baseVal.width;
    const texts = [...drawing.querySelectorAll("text")].filter((t) => t.textContent.trim()
      && t.getAttribute("opacity") !== "0");
    const boxes = texts.map((t) => t.getBoundingClientRect());
    texts.forEach((t, i) => {{
      said.sizes.push(parseFloat(page.defaultView.getComputedStyle(t).fontSize) * scale);
      for (let j = 0; j < i; j++) {{
        const [a, b] = [boxes[i], boxes[j]];
        if (t.textContent !== texts[j].textContent
            && Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
            && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3)
          said.clashes.push([drawing.getAttribute("aria-label"), t.textContent, texts[j].textContent]);
      }}
    }});
  }}
  document.body.textContent = "SAID" + JSON.stringify(said) + "DIAS";
}});
</script></body>"""


@pytest.fixture(scope="module")
def seen(page: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the browser measures at 360 pixels: page width, sizes of type, texts that overlap."""
    browser = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    if browser is None:
        pytest.skip("no Chromium on this machine")
    folder: Path = tmp_path_factory.mktemp("layout")
    (folder / "phone.html").write_text(_WRAPPER.format(page=html.escape(page)), "utf-8")
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync"
    quiet = "--disable-background-networking --disable-component-update --hide-scrollbars"
    done = subprocess.run(
        [
            browser,
            *flags.split(),
            *quiet.split(),
            "--virtual-time-budget=5000",
            f"--user-data-dir={folder / 'profile'}",
            "--dump-dom",
            (folder / "phone.html").as_uri(),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    found = re.search(r"SAID(.*)DIAS", done.stdout, re.DOTALL)
    assert found is not None, done.stderr
    measured: dict[str, Any] = json.loads(html.unescape(found.group(1)))
    return measured


def test_the_page_never_scrolls_sideways_on_a_phone(seen: dict[str, Any]) -> None:
    assert seen["width"] <= 360


def test_type_in_drawings_is_at_least_eleven_pixels_on_a_phone(seen: dict[str, Any]) -> None:
    assert len(seen["sizes"]) > 100
    assert min(seen["sizes"]) >= 11


def test_no_texts_of_a_drawing_overlap(seen: dict[str, Any]) -> None:
    assert seen["clashes"] == []
