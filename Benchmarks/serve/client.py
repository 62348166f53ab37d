"""Just enough HTTP to load a server: requests with JSON, answers whole or as server-sent events."""
import asyncio
import json
import time


class Failed(Exception):
    pass


class Client:
    def __init__(self, port: int, model: str, admin_key: str | None = None):
        self.port, self.model, self.admin_key = port, model, admin_key

    async def _open(self, method: str, path: str, body, key=None):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 24)
        data = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {len(data)}\r\n"
        if body is not None:
            head += "Content-Type: application/json\r\n"
        if key:
            head += f"Authorization: Bearer {key}\r\n"
        writer.write(head.encode() + b"\r\n" + data)
        await writer.drain()
        status = int((await reader.readline()).split()[1])
        chunked, length = False, None
        while (line := await reader.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode().partition(":")
            chunked |= name.lower() == "transfer-encoding" and "chunked" in value
            if name.lower() == "content-length":
                length = int(value)
        return status, reader, writer, chunked, length

    @staticmethod
    async def _pieces(reader, chunked, length):
        if not chunked:
            yield await (reader.read() if length is None else reader.readexactly(length))
            return
        while size := int((await reader.readuntil(b"\n")).split(b";")[0], 16):  # raises where the answer is cut short
            yield await reader.readexactly(size)
            await reader.readline()

    async def call(self, method: str, path: str, body=None, key=None):
        """Status and JSON of a request."""
        status, reader, writer, chunked, length = await self._open(method, path, body, key)
        try:
            text = b"".join([piece async for piece in self._pieces(reader, chunked, length)])
        finally:
            writer.close()
        return status, json.loads(text) if text else None

    async def admin(self, method: str, path: str, body=None):
        status, reply = await self.call(method, "/admin/v1/weights" + path, body, self.admin_key)
        if status != 200:
            raise Failed(f"{method} {path}: {status} {reply}")
        return reply

    def request(self, prompt, tokens: int, **more) -> dict:
        return {"model": self.model, "prompt": prompt, "temperature": 0, "max_tokens": tokens, **more}

    async def complete(self, prompt, tokens: int, **more) -> dict:
        status, reply = await self.call("POST", "/v1/completions", self.request(prompt, tokens, **more))
        if status != 200:
            raise Failed(f"completion: {status} {reply}")
        return reply

    async def stream(self, prompt, tokens: int, **more):
        """Yields (seconds since the epoch of perf_counter, event) until [DONE]."""
        async for now, event in self.stream_bytes(prompt, tokens, **more):
            yield now, json.loads(event)

    async def stream_bytes(self, prompt, tokens: int, **more):
        """The same, with events as they came: reading them can wait until nothing is timed any more."""
        status, reader, writer, chunked, length = await self._open(
            "POST", "/v1/completions", self.request(prompt, tokens, stream=True, **more))
        try:
            rest = b""
            async for piece in self._pieces(reader, chunked, length):
                now = time.perf_counter()
                if status != 200:
                    raise Failed(f"stream: {status} {piece!r}")
                # Some servers end lines with \r\n.
                *events, rest = (rest + piece).replace(b"\r\n", b"\n").split(b"\n\n")
                for event in events:
                    if event.startswith(b"data: ") and event != b"data: [DONE]":
                        yield now, event[6:]
        finally:
            writer.close()
