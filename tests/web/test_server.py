import json
import socket
import threading
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest

from knuckle.cli import main
from knuckle.web import lay_out, page_files, serve


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page as make web leaves it, but empty."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "index.html").write_text("<!doctype html>")
    (folder / "runtime.wasm").write_bytes(b"\0asm")
    return folder


@pytest.fixture(scope="module")
def port(site: Path) -> Iterator[int]:
    with page_files(site_dir=site) as files, serve(files, port=0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def ask(port: int, path: str, host: str | None = None, method: str = "GET") -> HTTPResponse:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    headers = {} if host is None else {"Host": host}
    connection.request(method, path, headers=headers)
    response = connection.getresponse()
    response.body = response.read()
    connection.close()
    return response


def test_the_page_the_networks_and_the_settings_are_served(port: int) -> None:
    assert ask(port, "/").body == b"<!doctype html>"
    assert ask(port, "/?record=3").status == 200
    assert len(ask(port, "/weights/keypoints.onnx").body) > 1e6
    assert "cards" in json.loads(ask(port, "/settings.json").body)
    assert ask(port, "/runtime.wasm").headers["Content-Type"] == "application/wasm"


def test_threads_may_share_memory_and_nobody_embeds_it(port: int) -> None:
    headers = ask(port, "/").headers
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_head_tells_the_length_and_sends_nothing(port: int) -> None:
    answer = ask(port, "/", method="HEAD")
    assert answer.body == b""
    assert answer.headers["Content-Length"] == "15"


@pytest.mark.parametrize("path", ["/../../pyproject.toml", "/weights/", "/weights/../index.html"])
def test_only_the_files_of_the_page_are_served(port: int, path: str) -> None:
    assert ask(port, path).status == 404


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "localhost:1", "127.0.0.1"])
def test_who_comes_by_another_name_gets_nothing(port: int, host: str) -> None:
    answer = ask(port, "/", host=host)
    assert answer.status == 421
    assert b"doctype html>" not in answer.body[:15]


def test_who_leaves_before_all_is_sent_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    faults: list[object] = []
    with serve({"big": bytes(64 << 20)}, port=0) as server:
        monkeypatch.setattr(server, "daemon_threads", False)  # closing waits for them
        monkeypatch.setattr(server, "handle_error", lambda *told: faults.append(told))
        port = server.server_address[1]
        with socket.create_connection(("127.0.0.1", port), timeout=10) as browser:
            browser.sendall(f"GET /big HTTP/1.0\r\nHost: localhost:{port}\r\n\r\n".encode())
            server.handle_request()
            assert browser.recv(8) == b"HTTP/1.0"
    assert not faults


def test_own_names_are_known(port: int) -> None:
    assert ask(port, "/", host=f"localhost:{port}").status == 200


def test_the_page_can_be_laid_out_for_any_server(site: Path, tmp_path: Path) -> None:
    folder = lay_out(tmp_path / "static", site_dir=site)
    assert (folder / "index.html").read_text() == "<!doctype html>"
    assert (folder / "weights" / "detector.onnx").stat().st_size > 1e6
    assert json.loads((folder / "settings.json").read_text())["hand"]["joints"][0] == "wrist"


def test_a_page_that_is_not_built_is_told_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["web", "--site", str(tmp_path)]) == 2
    assert "make web" in capsys.readouterr().err


def test_networks_that_are_missing_are_named(
    site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["web", "--site", str(site), "--weights", str(tmp_path)]
    assert main([*arguments, "--build", str(tmp_path / "out")]) == 2
    assert "detector.onnx" in capsys.readouterr().err


def raw(port: int, request: str) -> bytes:
    """All of the answer to a request as it stands."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as browser:
        browser.sendall(request.encode())
        return b"".join(iter(lambda: browser.recv(65536), b""))


def test_who_names_two_hosts_gets_nothing(port: int) -> None:
    hosts = f"Host: localhost:{port}\r\nHost: evil.example\r\n"
    assert raw(port, f"GET / HTTP/1.1\r\n{hosts}\r\n").startswith(b"HTTP/1.0 421")


def test_an_address_that_is_none_is_answered(port: int) -> None:
    answer = raw(port, f"GET http://[ HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n")
    assert answer.startswith(b"HTTP/1.0 404")


def test_a_file_of_the_page_that_has_gone_is_not_found(tmp_path: Path) -> None:
    with serve({"gone": tmp_path / "gone"}, port=0) as server:
        threading.Thread(target=server.handle_request).start()
        asked = ask(server.server_address[1], "/gone", f"localhost:{server.server_address[1]}")
        assert asked.status == 404


@pytest.mark.parametrize(("given", "told"), [(-1, "from 0"), (65536, "from 0"), (None, "in use")])
def test_a_port_that_cannot_be_had_is_told(
    given: int | None, told: str, site: Path, port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["web", "--site", str(site), "--port", str(port if given is None else given)]
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert told in said and "port" in said


def test_a_page_can_be_laid_out_where_it_was_built(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<!doctype html>")
    assert lay_out(tmp_path, site_dir=tmp_path) == tmp_path
    assert (tmp_path / "index.html").read_text() == "<!doctype html>"
    assert (tmp_path / "settings.json").is_file()


def test_what_cannot_be_laid_out_is_named(
    site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "runtime.wasm").mkdir()  # in the way of a file of the page
    assert main(["web", "--site", str(site), "--build", str(tmp_path)]) == 2
    assert f"cannot write {tmp_path / 'runtime.wasm'} (is a directory)" in capsys.readouterr().err
