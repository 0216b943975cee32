"""A longer cable: passes TCP connections on, with half a round trip of delay each way, and limits nothing else.

usage: delay-proxy.py ROUND_TRIP_MS PORT...   Passes on to these ports of 127.0.0.1.

Prints the ports that it listens on itself, one line of JSON in the same order, and ends when its stdin does. In Python,
whose select() waits for fractions of a millisecond; Node's timers do not.
"""

import collections
import json
import select
import socket
import sys
import time

# More than any link of these delays has under way, so that a fast one is not slowed down.
MOST_BYTES = 128 * 2**20
CHUNK = 2**18


class Direction:
    """What goes one way through one connection."""

    def __init__(self, source, sink, delay, opens):
        self.source, self.sink, self.delay, self.opens = source, sink, delay, opens
        self.queue = collections.deque()
        self.bytes = 0
        self.reads, self.blocked, self.done = True, False, False

    def take(self, now):
        data = self.source.recv(CHUNK)
        self.reads = data != b""
        self.bytes += len(data)
        # Nothing is under way before the connection stands, which takes TCP a round trip.
        self.queue.append((max(now, self.opens) + self.delay, memoryview(data)))

    def give(self, now):
        self.blocked = False
        while self.queue and self.queue[0][0] <= now:
            due, data = self.queue.popleft()
            if not data:
                self.done = True
                self.sink.shutdown(socket.SHUT_WR)
                return
            try:
                sent = self.sink.send(data)
            except BlockingIOError:
                sent = 0
            self.bytes -= sent
            if sent < len(data):
                self.queue.appendleft((due, data[sent:]))
                self.blocked = True
                return


def join(near, port, delay):
    far = socket.create_connection(("127.0.0.1", port))
    for end in (near, far):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        end.setblocking(False)
    now = time.monotonic()
    return (Direction(near, far, delay, now + 2 * delay), Direction(far, near, delay, now + delay))


def main():
    delay = float(sys.argv[1]) / 2000
    listeners = {socket.create_server(("127.0.0.1", 0), backlog=128): int(port) for port in sys.argv[2:]}
    print(json.dumps([listener.getsockname()[1] for listener in listeners]), flush=True)
    pairs = set()
    while True:
        both = [(pair, one) for pair in pairs for one in pair]
        readers = {one.source: (pair, one) for pair, one in both if one.reads and one.bytes < MOST_BYTES}
        writers = [one.sink for _, one in both if one.blocked]
        dues = [one.queue[0][0] for _, one in both if one.queue and not one.blocked]
        wait = max(0, min(dues) - time.monotonic()) if dues else None
        readable, writable, _ = select.select([*readers, *listeners, sys.stdin], writers, [], wait)
        now = time.monotonic()
        for end in readable:
            if end is sys.stdin:
                return
            if end in listeners:
                try:
                    pairs.add(join(end.accept()[0], listeners[end], delay))
                except OSError:
                    pass  # the far side is not there: the near one sees its connection closed
                continue
            pair, one = readers[end]
            try:
                one.take(now)
            except OSError:
                close(pairs, pair)
        for pair, one in both:
            if pair not in pairs or (one.blocked and one.sink not in writable):
                continue
            try:
                one.give(now)
            except OSError:
                close(pairs, pair)
        for pair in [pair for pair in pairs if all(one.done for one in pair)]:
            close(pairs, pair)


def close(pairs, pair):
    pairs.discard(pair)
    for one in pair:
        one.source.close()


main()
