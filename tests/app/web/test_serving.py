"""`herbage serve` as a process: its address, how it stops, and the files that remain."""

import os
import re
import signal
import socket
import subprocess
import threading
import time
from contextlib import suppress

import httpx
import pytest

from herbage.app.cli import run
from herbage.app.web.serving import reach, serve
from herbage.errors import InputInvalid
from herbage.farm.farm import Farm
from tests.conftest import HERBAGE, PATIENCE_S, posix_only


@pytest.fixture
def server(model, tmp_path):
    """The process, its address, and the folder for its temporary files."""
    model.save_pretrained(tmp_path / "model")
    (tmp_path / "tmp").mkdir()
    process = subprocess.Popen(
        [*HERBAGE, "serve", str(tmp_path / "model"), "--port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(tmp_path / "tmp")),
    )  # fmt: skip
    first_line = process.stdout.readline()
    address = re.match(r"http://127.0.0.1:\d+/", first_line)
    assert address, first_line + process.stderr.read()
    yield process, address[0], tmp_path / "tmp"
    process.kill()
    process.communicate()


def begin_upload(address, size=3_000_000):
    """Send half of a request."""
    host, port = address[7:-1].split(":")
    connection = socket.create_connection((host, int(port)))
    head = (
        "POST /api/predictions HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        f'Content-Length: {2 * size}\r\n\r\n--b\r\nContent-Disposition: form-data; name="photos"; filename="a.jpg"\r\n\r\n'
    )
    connection.sendall(head.encode() + bytes(size))
    time.sleep(0.5)
    return connection


def keep_sending(connection):
    """Send one byte of the other half each second, until the connection is closed."""
    with suppress(OSError):
        while True:
            connection.sendall(b"0")
            time.sleep(1)


@posix_only(reason="on Windows no other process can press Ctrl-C")
def test_ctrl_c_stops_it_at_once_during_an_upload(server, weighed_photos):
    process, address, _ = server
    photo = (weighed_photos / "train/ID1.png").read_bytes()
    answer = httpx.post(
        address + "api/predictions", files=[("photos", ("a.png", photo, "image/png"))], timeout=PATIENCE_S
    )
    assert answer.status_code == 200
    assert httpx.get(address, timeout=PATIENCE_S).status_code == 200
    with begin_upload(address) as connection:
        # A server that waited for the rest would not end before 600 seconds.
        threading.Thread(target=keep_sending, args=(connection,), daemon=True).start()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Stopped." in errors
    assert "Traceback" not in errors


def test_no_file_of_an_upload_remains_even_after_a_crash(server):
    process, address, temporary = server
    with begin_upload(address):
        assert httpx.get(address + "healthz", timeout=PATIENCE_S).status_code == 200, (
            "an incomplete upload blocks no other request"
        )
        process.kill()
        process.wait(PATIENCE_S)
    assert list(temporary.iterdir()) == []


def test_a_local_server_refuses_other_host_names(server):
    _, address, _ = server
    assert httpx.get(address, headers={"Host": "evil.example"}, timeout=PATIENCE_S).status_code == 421
    assert httpx.get(address, headers={"Host": "localhost"}, timeout=PATIENCE_S).status_code == 200


def test_a_port_in_use_is_one_message(model):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(InputInvalid, match="Could not open port .* on 127.0.0.1 .*; choose another `port`"):
            serve(model, model.open_backbone(), port=taken.getsockname()[1])
    for port in (-1, 70_000):
        with pytest.raises(InputInvalid, match="Could not open port .* on 127.0.0.1 .*; choose another `port`"):
            serve(model, model.open_backbone(), port=port)


def test_an_empty_token_is_refused(model):
    for token in ("", "  "):
        with pytest.raises(InputInvalid, match="`token` is empty, which would not protect the server"):
            serve(model, model.open_backbone(), port=0, token=token)
    assert "?token=a%2Bb%26c" in reach("127.0.0.1", 1, "a+b&c")


def test_the_message_says_who_can_reach_the_server():
    alone = reach("127.0.0.1", 8000, None)
    assert "http://127.0.0.1:8000/ is available on this computer only" in alone
    everybody = reach("0.0.0.0", 8000, "sesame")
    assert "Available to everybody who can reach this computer over its networks" in everybody
    assert "has the token" in everybody
    assert re.search(r"http://[^/]+:8000/\?token=sesame", everybody)
    assert "127.0.0.1" not in everybody
    assert "http://[fe80::1]:80/" in reach("fe80::1", 80, None)


def test_the_message_says_what_is_stored(tmp_path):
    farm = Farm(tmp_path / "farm.gpkg")
    for host in ("127.0.0.1", "0.0.0.0"):
        assert "; photos are not stored. Press Ctrl-C" in reach(host, 8000, None)
        stored = f"; photos are not stored, and estimates are saved to {farm.path} on request. Press Ctrl-C"
        assert stored in reach(host, 8000, None, farm)


def test_a_wrong_farm_is_refused_before_the_model_is_loaded(tmp_path, capsys):
    (tmp_path / "text.gpkg").write_text("This is no GeoPackage.")
    (tmp_path / "model").mkdir()
    (tmp_path / "model/config.json").write_text("{}")  # a model that could not be loaded
    for name, message in (
        ("farm.txt", "expected the name of a GeoPackage, which ends in .gpkg."),
        ("no/farm.gpkg", "does not exist"),
        ("text.gpkg", "could not be used as a GeoPackage"),
    ):
        assert run(["serve", str(tmp_path / "model"), "--farm", str(tmp_path / name)]) == 2
        assert message in capsys.readouterr().err.replace("\n", " ")
    assert not (tmp_path / "farm.gpkg").exists()
