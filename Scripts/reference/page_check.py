#!/usr/bin/env python3
"""The server's page in a real browser: chats, stops, begins anew, changes weights and goes back; with keyboard alone where that is how
it is used; then pictures of it, light and dark, narrow and wide.

  python Scripts/reference/page_check.py SERVE ENGINE ADAPTER PICTURES     needs playwright and Chromium (CHROMIUM names it)

SERVE is the executable trtllm-serve, ENGINE an engine with a chat template, ADAPTER a LoRA of its model, PICTURES a directory.
"""
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import sync_playwright

serve, engine, adapter, pictures = sys.argv[1:5]
chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
root = tempfile.mkdtemp()
shutil.copytree(adapter, Path(root, "lora"))
with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    port = s.getsockname()[1]
server = subprocess.Popen([serve, engine, "--port", str(port), "--weights_root", root, "--log_level", "warning"], env=os.environ | {"DRYDOCK_ADMIN_KEY": "a"})
url = f"http://127.0.0.1:{port}/"
problems = []


def check(condition, what):
    print(("ok   " if condition else "FAIL ") + what)
    if not condition: problems.append(what)


try:
    for _ in range(300):
        try: urllib.request.urlopen(url + "health"); break
        except OSError: time.sleep(0.1)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        # As it is served, its policy included; afterwards without, since waiting for conditions evaluates text.
        errors, outside = [], []
        plain = browser.new_page()
        plain.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
        plain.goto(url)
        plain.wait_for_selector("#model option", state="attached")
        plain.keyboard.type("Hi")
        plain.keyboard.press("Enter")
        plain.wait_for_selector("article.assistant")
        plain.close()
        page = browser.new_context(bypass_csp=True, viewport={"width": 1100, "height": 800}).new_page()
        page.on("pageerror", lambda e: errors.append(str(e)))
        page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
        page.on("request", lambda r: outside.append(r.url) if not r.url.startswith((url, "data:")) else None)
        page.goto(url)
        page.wait_for_selector("#model option", state="attached")
        check(page.evaluate("document.activeElement.id") == "text", "the message field has the focus")

        def answer():
            page.wait_for_function("document.getElementById('send').disabled === false", timeout=60000)
            return page.locator("article.assistant").last.inner_text()

        page.click("summary >> text=Settings")
        page.fill("#temperature", "0")
        page.fill("#tokens", "24")
        page.focus("#text")
        page.keyboard.type("What is the capital of France?")
        page.keyboard.press("Enter")
        page.wait_for_selector("article.assistant")
        base = answer()
        check(len(base) > 10, f"an answer: {base!r}")
        status = page.inner_text("#status")
        check(re.search(r"^\d+ tokens, [\d.]+ tokens/s, weights fp_", status), f"its figures: {status!r}")
        page.screenshot(path=f"{pictures}/wide-light.png")

        page.fill("#tokens", "400")
        page.fill("#text", "<b>Write</b> a long story.\n<script>alert(1)</script>")
        page.keyboard.press("Enter")
        page.wait_for_function("document.querySelectorAll('article.assistant').length === 2", timeout=60000)
        page.keyboard.press("Escape")
        answer()
        check(page.inner_text("#status") == "Stopped.", "Escape stops")
        check(page.locator("article.user").last.inner_text().endswith("<script>alert(1)</script>"), "what is typed is text, not markup")
        page.reload()
        page.wait_for_selector("article.assistant")
        check(page.locator("article").count() == 4, "the conversation is kept in the browser")
        page.click("#new")
        check(page.locator("article").count() == 0, "a new conversation is empty")

        page.click("summary >> text=Weights")
        page.click("#list")
        page.wait_for_function("document.getElementById('weights-status').textContent.length > 12")
        check("key" in page.inner_text("#weights-status"), "without the key it says so: " + page.inner_text("#weights-status"))
        page.fill("#admin", "a")
        page.fill("#source", "lora")
        page.click("#refit")
        page.wait_for_function("document.querySelectorAll('#versions li').length === 2", timeout=60000)
        page.click("summary >> text=Settings")
        page.fill("#temperature", "0")
        page.fill("#tokens", "24")
        page.fill("#text", "What is the capital of France?")
        page.keyboard.press("Enter")
        page.wait_for_selector("article.assistant")
        adapted = answer()
        check(adapted != base, f"other weights, another answer: {adapted!r}")
        page.click("#undo")
        page.wait_for_function("document.getElementById('weights-status').textContent === 'Done.'", timeout=60000)
        page.click("#new")
        page.fill("#text", "What is the capital of France?")
        page.keyboard.press("Enter")
        page.wait_for_selector("article.assistant")
        check(answer() == base, "undone, the first answer")
        page.emulate_media(color_scheme="dark")
        page.screenshot(path=f"{pictures}/wide-dark.png")
        page.set_viewport_size({"width": 390, "height": 800})
        page.screenshot(path=f"{pictures}/narrow-dark.png")
        page.emulate_media(color_scheme="light")
        page.screenshot(path=f"{pictures}/narrow-light.png")
        check(page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing is wider than a narrow window")
        unnamed = page.evaluate("[...document.querySelectorAll('input,textarea,select,button')].filter(e => !(e.labels?.length || e.textContent.trim() || e.getAttribute('aria-label'))).map(e => e.id)")
        check(unnamed == [], f"everything has a name for screen readers {unnamed}")
        check(outside == [], f"nothing comes from elsewhere {outside}")
        expected = [e for e in errors if "401" not in e]
        check(expected == [], f"no errors in the console {expected}")
        browser.close()
finally:
    server.terminate()
    server.wait()
sys.exit(1 if problems else 0)
