#!/usr/bin/env bash
# A block of a server-sent event stream that has an id and no data moves the place of some clients and not of others.
#
# Versions: npm eventsource 5.1.5, npm eventsource-client 1.2.0, PyPI httpx-sse 0.4.3 with httpx 0.28.1.
# Surprise: the HTML standard keeps the id of every block, also of one without data (it is only not dispatched). A server that tells
#   its place ahead of the first event in such a block is resumed from it by `eventsource`; `eventsource-client` forgets it and comes
#   back without Last-Event-ID, so whatever happened meanwhile is missed; `httpx-sse` hands an event with empty data to the reader,
#   whose json.loads then fails.
# Seen:
#   eventsource: Last-Event-ID 7
#   eventsource-client: Last-Event-ID none
#   httpx-sse: event 'message' id '7' data ''
set -euo pipefail
work=$(mktemp -d)
server=
trap 'if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; fi; rm -rf "$work"' EXIT
cd "$work"
echo '{"private": true}' >package.json
npm install --silent --no-audit --no-fund eventsource@5.1.5 eventsource-client@1.2.0 >/dev/null
python3 -m venv python
python/bin/pip install -q --disable-pip-version-check httpx-sse==0.4.3 httpx==0.28.1

# Each connection is sent an id without data and closed; what the second one of a path brings is written down.
cat >server.py <<'PYTHON'
import http.server

seen = set()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        if self.path in seen:
            with open(self.path.strip("/"), "w") as file:
                file.write(self.headers.get("Last-Event-ID") or "none")
        seen.add(self.path)
        self.wfile.write(b"retry: 100\nid: 7\n\n")

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
with open("port.new", "w") as file:
    file.write(str(server.server_address[1]))
import os

os.rename("port.new", "port")
server.serve_forever()
PYTHON
python3 server.py &
server=$!
until [ -f port ]; do sleep 0.1; done
url=http://127.0.0.1:$(cat port)

cat >look.mjs <<'JAVASCRIPT'
import { existsSync } from "node:fs";
import { EventSource } from "eventsource";
import { createEventSource } from "eventsource-client";

const url = process.argv[2];
const one = new EventSource(url + "/eventsource");
const other = createEventSource({ url: url + "/eventsource-client" });
other.connect();
for (let i = 0; i < 300 && !(existsSync("eventsource") && existsSync("eventsource-client")); i++) {
  await new Promise((resolve) => setTimeout(resolve, 100));
}
one.close();
other.close();
JAVASCRIPT
node look.mjs "$url"

cat >look.py <<'PYTHON'
import sys
import httpx
from httpx_sse import connect_sse

with httpx.Client(trust_env=False) as client, connect_sse(client, "GET", sys.argv[1] + "/httpx") as source:
    for event in source.iter_sse():
        print(f"event {event.event!r} id {event.id!r} data {event.data!r}")
PYTHON
python=$(python/bin/python look.py "$url")
told="eventsource: Last-Event-ID $(cat eventsource)
eventsource-client: Last-Event-ID $(cat eventsource-client)
httpx-sse: $python"
printf '%s\n' "$told"
[ "$told" = "eventsource: Last-Event-ID 7
eventsource-client: Last-Event-ID none
httpx-sse: event 'message' id '7' data ''" ]
echo "as described"
