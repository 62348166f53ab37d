#!/usr/bin/env python3
"""Golden results through a server whose weights change while it runs: before a refit with an adapter, after it, after undo.

    live_weights_check.py SERVE ENGINE ADAPTER GOLDEN.json BASE_SET ADAPTED_SET

Each state is checked with serve_golden_check.py, alone and under load. A source that does not fit is tried in between and
must change nothing. The server must end cleanly on SIGTERM.
"""
import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

serve, engine, adapter, golden, base, adapted = sys.argv[1:7]
scripts = Path(__file__).resolve().parent


def admin(method, path="", body=None, key="secret"):
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/admin/v1/weights{path}", method=method, data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=300) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def check(name):
    subprocess.run(
        [sys.executable, scripts / "serve_golden_check.py", f"http://127.0.0.1:{port}/v1", "drydock-test", golden, name], check=True)


with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    port = s.getsockname()[1]
with tempfile.TemporaryDirectory() as root:
    shutil.copytree(adapter, Path(root) / "lora")
    shutil.copytree(adapter, Path(root) / "cut")
    weights = Path(root) / "cut" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-64])
    server = subprocess.Popen(
        [serve, engine, "--port", str(port), "--served_model_name", "drydock-test", "--log_level", "warning",
         "--admin_key", "secret", "--weights_root", root])
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2)
                break
            except OSError:
                assert server.poll() is None, "the server ended"
                time.sleep(0.1)
        check(base)
        assert admin("POST", "/refit", {"source": "lora"}, key="wrong")[0] == 401
        status, made = admin("POST", "/refit", {"source": "lora"})
        assert status == 200, made
        version = made["activated"]["version"]
        print("swap took", made["activated"]["pause_microseconds"], "µs")
        check(adapted)
        status, refused = admin("POST", "/refit", {"source": "cut"})
        assert status == 400 and refused["error"]["code"] == "weights_refused", refused
        check(adapted)
        status, undone = admin("POST", "/undo")
        assert status == 200 and undone["previous"] == version, undone
        check(base)
        assert admin("DELETE", "/" + version)[0] == 200
        assert admin("GET")[1]["memory_bytes"] == 0
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0, server.returncode
    finally:
        server.kill()
