"""Downloads one URL slowly over many connections: READERS connections, each at BYTES_PER_SECOND.

Usage: slow_readers.py HOST PORT PATH READERS BYTES_PER_SECOND SECONDS
Fails unless the server serves every reader for all SECONDS.
"""

import asyncio
import socket
import sys
import time


async def read(host, port, path, rate, until):
    connection = socket.socket()
    # A small buffer: the kernel must not read ahead of the slow client.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
    connection.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(connection, (host, port))
    request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"
    await loop.sock_sendall(connection, request.encode())
    total, began = 0, time.monotonic()
    while time.monotonic() < until:
        chunk = await loop.sock_recv(connection, 8 * 1024)
        if not chunk:
            raise ConnectionError(f"closed after {total} bytes")
        if total == 0 and not chunk.startswith(b"HTTP/1.1 200 "):
            raise ConnectionError(chunk[:200])
        total += len(chunk)
        await asyncio.sleep(max(0, began + total / rate - time.monotonic()))
    connection.close()
    return total


async def main():
    host, port, path, readers, rate, seconds = sys.argv[1:]
    until = time.monotonic() + float(seconds)
    tasks = [read(host, int(port), path, float(rate), until) for _ in range(int(readers))]
    totals = await asyncio.gather(*tasks)
    print(f"{len(totals)} readers, {sum(totals) / len(totals) / 1024:.0f} KiB each")


asyncio.run(main())
