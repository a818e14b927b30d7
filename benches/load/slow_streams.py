"""Measures memory and other clients' latency beside many slow HTTP/2 streams.

Usage: slow_streams.py HOST PORT SLOW_PATH QUICK_PATH CONNECTIONS STREAMS SECONDS PID
Opens CONNECTIONS x STREAMS downloads of SLOW_PATH and never updates their flow-control windows. Requests
QUICK_PATH sequentially before and during that. Prints the process' memory and the 99th percentiles.
Writes HTTP/2 frames directly (RFC 9113), so that no client library enforces the server's limits.
"""

import asyncio
import struct
import sys
import time

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(name, value):
    """A header without indexing and without Huffman (RFC 7541, 6.2.2)."""
    return b"\x00" + integer(len(name)) + name + integer(len(value)) + value


def integer(number):
    if number < 127:
        return bytes([number])
    number -= 127
    out = [127]
    while number >= 128:
        out.append(number % 128 + 128)
        number //= 128
    return bytes(out + [number])


def head(host, path):
    fields = {":method": "GET", ":scheme": "http", ":authority": host, ":path": path}
    return b"".join(literal(name.encode(), value.encode()) for name, value in fields.items())


async def slow(host, port, path, streams, opened):
    reader, writer = await asyncio.open_connection(host, port, limit=16 * 1024)
    # SETTINGS_INITIAL_WINDOW_SIZE of 256 bytes: every stream reads that much and no more.
    writer.write(PREFACE + frame(4, 0, 0, struct.pack(">HI", 4, 256)))
    fields = head(host, path)
    for number in range(streams):
        writer.write(frame(1, 5, 2 * number + 1, fields))
        await writer.drain()
    try:
        while True:
            length = int.from_bytes(await reader.readexactly(3), "big")
            kind, flags, _ = struct.unpack(">BBI", await reader.readexactly(6))
            payload = await reader.readexactly(length)
            if kind == 4 and not flags & 1:
                writer.write(frame(4, 1, 0, b""))
            elif kind == 6 and not flags & 1:
                writer.write(frame(6, 1, 0, payload))
            elif kind == 1:
                opened[0] += 1
            elif kind == 3:
                opened[1] += 1
    except (asyncio.IncompleteReadError, ConnectionError):
        opened[2] += 1


async def quick(host, port, path, until):
    """Latencies of one client, in seconds."""
    reader, writer = await asyncio.open_connection(host, port)
    request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    took = []
    while time.monotonic() < until:
        began = time.monotonic()
        writer.write(request)
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200"), answer
        lines = answer.lower().split(b"\r\n")
        length = next(int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length"))
        await reader.readexactly(length)
        took.append(time.monotonic() - began)
        await asyncio.sleep(0.002)
    writer.close()
    return took


def p99(took):
    return sorted(took)[int(len(took) * 0.99)] * 1000


async def several(host, port, path, seconds):
    until = time.monotonic() + seconds
    took = await asyncio.gather(*(quick(host, port, path, until) for _ in range(4)))
    return sum(took, [])


def rss(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024


async def main():
    host, port, slow_path, quick_path, connections, streams, seconds, pid = sys.argv[1:]
    seconds = float(seconds)
    before = await several(host, port, quick_path, seconds)
    at_rest = rss(pid)
    opened = [0, 0, 0]
    many = [
        asyncio.create_task(slow(host, port, slow_path, int(streams), opened))
        for _ in range(int(connections))
    ]
    highest = at_rest
    # Five seconds, in which the server answers every stream that it will answer.
    for _ in range(50):
        await asyncio.sleep(0.1)
        highest = max(highest, rss(pid))
    meanwhile = asyncio.create_task(several(host, port, quick_path, seconds))
    while not meanwhile.done():
        await asyncio.sleep(0.1)
        highest = max(highest, rss(pid))
    meanwhile = meanwhile.result()
    for task in many:
        task.cancel()
    print(
        f"{connections} connections x {streams} slow streams: answered {opened[0]}, reset {opened[1]}, "
        f"connections closed {opened[2]}\n"
        f"memory: {at_rest:.0f} MiB at rest, {highest:.0f} MiB at most\n"
        f"others' p99: {p99(before):.2f} ms before ({len(before)}), {p99(meanwhile):.2f} ms beside them "
        f"({len(meanwhile)})"
    )


asyncio.run(main())
