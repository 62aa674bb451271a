#!/usr/bin/env python3
"""A proxy before a registry that does what networks and registries do wrong, and counts.

  proxy.py DIR UPSTREAM [--tls CERT KEY] [--blobs DIR]

Writes the port that it listens at to DIR/port. DIR/faults says what goes wrong; it is read anew
whenever it was replaced. A line is

  TIMES METHOD REGEX ACTION [WORD...]

TIMES is a number, or * for always; METHOD may be *; REGEX is searched in path and query. All lines
that match a request and have times left apply:

  status CODE [HEADER:VALUE...]  this answer, the registry is not asked
  body CODE TYPE FILE            this answer, with the file's bytes
  redirect [PREFIX]              307 to PREFIX + path (without: to the storage, below)
  path PATH                      the registry is asked for PATH in its place
  cut N                          the connection ends after N bytes of the body
  end                            the connection ends without any answer
  length N                       Content-Length is wrong by N (+ or -)
  flip N                         byte N of the body is another one
  longer N, shorter N            the body itself is; Content-Length agrees
  chunked                        no Content-Length
  drip N MS                      N bytes, then a rest of MS milliseconds, and so on
  hold N FILE                    after N bytes it waits until FILE is there (30 s at most)
  meet N                         waits until N such requests are there at once (5 s at most)
  norange                        the request loses its Range: the answer is 200
  badrange                       206 with the bytes of another place
  header NAME:VALUE, drop NAME   a header of the answer
  location relative|absolute     how the Location of the answer is written
  nomount                        mount= and from= are lost: the registry wants an upload
  cutup N                        the connection ends after N bytes of the request's body
  forget                         after the request's body arrived whole, the connection ends; the
                                 registry has not seen it

DIR/log has a line a request, written before the answer goes out:

  METHOD PATH STATUS auth=SCHEME|- range=RANGE|- length=N [accept=TYPES] [fault=ACTION...]

and a line ALONE or WAITED where `meet` or `hold` waited in vain.

The storage is a second listener (its port in DIR/storage): it has the blobs of a registry's
directory (--blobs), and as S3 does it refuses requests that come with Authorization. Its lines in
the log begin with STORAGE.
"""
import argparse, http.client, http.server, os, re, shlex, socket, ssl, threading, time, urllib.parse

words = argparse.ArgumentParser()
words.add_argument("dir")
words.add_argument("upstream")
words.add_argument("--tls", nargs=2)
words.add_argument("--blobs")
words = words.parse_args()
upstream = urllib.parse.urlsplit(words.upstream)
lock = threading.Condition()
log_file = open(os.path.join(words.dir, "log"), "a", buffering=1)
rules, rules_are = [], None


class Rule:
    def __init__(self, line):
        times, self.method, regex, self.action, *self.words = shlex.split(line)
        self.left = float("inf") if times == "*" else int(times)
        self.regex = re.compile(regex)
        self.here = 0


def faults(method, path):
    """What applies to this request: action -> rule."""
    global rules, rules_are
    name = os.path.join(words.dir, "faults")
    with lock:
        try:
            stat = os.stat(name)
            now = (stat.st_ino, stat.st_mtime_ns)
        except FileNotFoundError:
            now = None
        if now != rules_are:
            lines = open(name) if now else []
            rules = [Rule(line) for line in lines if line.strip() and not line.startswith("#")]
            rules_are = now
        found = {}
        for rule in rules:
            if rule.left > 0 and rule.method in ("*", method) and rule.regex.search(path):
                rule.left -= 1
                found.setdefault(rule.action, rule)
        return found


def log(line):
    with lock:
        log_file.write(line + "\n")


class Cut(Exception):
    pass


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 0

    def log_message(self, *_):
        pass

    def log_error(self, *_):
        pass

    def setup(self):
        if isinstance(self.request, ssl.SSLSocket):
            self.request.settimeout(20)
            self.request.do_handshake()
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)

    def note(self, status, length, found, who=""):
        scheme = (self.headers.get("Authorization") or "-").split(" ")[0]
        line = f"{who}{self.command} {self.path} {status} auth={scheme}"
        line += f" range={self.headers.get('Range', '-')} length={length}"
        if self.command in ("GET", "HEAD") and self.headers.get("Accept"):
            line += " accept=" + ",".join(self.headers.get_all("Accept")).replace(" ", "")
        if found:
            line += " fault=" + ",".join(found)
        log(line)

    def end_connection(self):
        self.close_connection = True
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def body(self):
        """Pieces of the request's body."""
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            while True:
                size = int(self.rfile.readline().split(b";")[0] or b"0", 16)
                left = size
                while left:
                    piece = self.rfile.read(min(left, 65536))
                    if not piece:
                        raise Cut
                    left -= len(piece)
                    yield piece
                self.rfile.readline()
                if not size:
                    return
        left = int(self.headers.get("Content-Length") or 0)
        while left:
            piece = self.rfile.read1(min(left, 65536))
            if not piece:
                raise Cut
            left -= len(piece)
            yield piece

    def limited(self, found):
        """The request's body, or its beginning."""
        left = int(found["cutup"].words[0]) if "cutup" in found else None
        for piece in self.body():
            if left is not None and len(piece) >= left:
                yield piece[:left]
                raise Cut
            if left is not None:
                left -= len(piece)
            yield piece
        if left is not None:
            raise Cut

    def answer(self, status, headers, found, pieces=(), length=0):
        """Sends an answer whose body is the pieces, with what is to be wrong with it."""
        if "badrange" in found and status == 206:
            headers = [(k, v) for k, v in headers if k.lower() != "content-range"] + [("Content-Range", f"bytes 0-{length - 1}/{length}")]
        for rule in (found[a] for a in ("header", "drop") if a in found):
            name = rule.words[0].split(":")[0].lower()
            headers = [(k, v) for k, v in headers if k.lower() != name]
            if rule.action == "header":
                headers.append(tuple(" ".join(rule.words).split(":", 1)))
        if "location" in found:
            scheme = "https" if words.tls else "http"
            for i, (name, value) in enumerate(headers):
                if name.lower() == "location":
                    rest = urllib.parse.urlsplit(value)._replace(scheme="", netloc="").geturl()
                    absolute = found["location"].words[0] == "absolute"
                    headers[i] = (name, f"{scheme}://{self.headers['Host']}{rest}" if absolute else rest)
        extra = int(found["longer"].words[0]) if "longer" in found else 0
        keep = length
        if "shorter" in found:
            keep = max(0, length - int(found["shorter"].words[0]))
        length = keep + extra
        said = length + (int(found["length"].words[0]) if "length" in found else 0)
        self.note(status, length, found)
        if "meet" in found:
            rule = found["meet"]
            with lock:
                rule.here += 1
                lock.notify_all()
                if not lock.wait_for(lambda: rule.here >= int(rule.words[0]), 5):
                    log_file.write(f"ALONE {self.path}\n")
        if "end" in found:
            raise Cut
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        chunked = "chunked" in found
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif status != 204:
            self.send_header("Content-Length", str(said))
        self.end_headers()
        if self.command == "HEAD":
            return
        sent = 0
        hold = found.get("hold")
        hold_at = int(hold.words[0]) if hold else None
        cut_at = int(found["cut"].words[0]) if "cut" in found else None
        flip_at = int(found["flip"].words[0]) if "flip" in found else None

        def put(piece):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)

        def send(piece):
            nonlocal sent, hold_at, flip_at
            if flip_at is not None and sent <= flip_at < sent + len(piece):
                at = flip_at - sent
                piece = piece[:at] + bytes([piece[at] ^ 1]) + piece[at + 1 :]
                flip_at = None
            for edge in (hold_at, cut_at):
                if edge is not None and sent + len(piece) >= edge:
                    put(piece[: edge - sent])
                    piece = piece[edge - sent :]
                    sent = edge
                    if edge == cut_at:
                        raise Cut
                    hold_at = None
                    until = time.time() + 30
                    while not os.path.exists(hold.words[1]) and time.time() < until:
                        if self.gone():
                            raise Cut
                        time.sleep(0.01)
                    if time.time() >= until:
                        log(f"WAITED {self.path}")
            if "drip" in found:
                step, rest = map(int, found["drip"].words)
                for i in range(0, len(piece), step):
                    put(piece[i : i + step])
                    time.sleep(rest / 1000)
            elif piece:
                put(piece)
            sent += len(piece)

        left = keep
        for piece in pieces:
            piece = piece[:left]
            left -= len(piece)
            send(piece)
        while extra > 0:
            send(b"x" * min(extra, 65536))
            extra -= 65536
        if chunked:
            self.wfile.write(b"0\r\n\r\n")
        if said != length:
            raise Cut

    def gone(self):
        try:
            return self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except ssl.SSLError:
            return False
        except ValueError:
            return False
        except BlockingIOError:
            return False
        except OSError:
            return True

    def drain(self):
        for _ in self.body():
            pass

    def serve(self):
        found = faults(self.command, self.path)
        if "forget" in found:
            self.drain()
            self.note("-", 0, found)
            raise Cut
        if "status" in found:
            self.drain()
            code, *headers = found["status"].words
            text = b'{"errors":[{"code":"UNKNOWN","message":"a fault of the test"}]}'
            headers = [tuple(h.split(":", 1)) for h in headers] + [("Content-Type", "application/json")]
            return self.answer(int(code), headers, found, [text], len(text))
        if "body" in found:
            self.drain()
            code, kind, file = found["body"].words
            text = open(file, "rb").read()
            return self.answer(int(code), [("Content-Type", kind)], found, [text], len(text))
        if "redirect" in found:
            self.drain()
            to = found["redirect"].words
            host = self.headers["Host"].rsplit(":", 1)[0]
            to = to[0] if to else f"http://{host}:{storage.server_address[1]}"
            return self.answer(307, [("Location", to + self.path)], found)
        path = found["path"].words[0] if "path" in found else self.path
        if "nomount" in found:
            path = path.split("?")[0]
        headers = {k.title(): v for k, v in self.headers.items() if k.lower() not in ("connection", "expect", "accept")}
        # Several Accept headers are one list (RFC 9110 section 5.3).
        if self.headers.get("Accept"):
            headers["Accept"] = ", ".join(self.headers.get_all("Accept"))
        headers["X-Forwarded-Proto"] = "https" if words.tls else "http"
        if "norange" in found or "badrange" in found:
            headers.pop("Range", None)
        chunked = "Transfer-Encoding" in self.headers
        there = http.client.HTTPConnection(upstream.hostname, upstream.port, timeout=30)
        try:
            has_body = chunked or "Content-Length" in self.headers
            try:
                there.request(self.command, path, self.limited(found) if has_body else None, headers, encode_chunked=chunked)
            except Cut:
                self.note("-", 0, found)
                raise
            got = there.getresponse()
            length = int(got.headers.get("Content-Length") or 0)
            kept = [(k, v) for k, v in got.headers.items() if k.lower() not in ("connection", "content-length", "transfer-encoding")]
            pieces = iter(lambda: got.read1(65536), b"")
            if self.command != "HEAD" and "Content-Length" not in got.headers:
                text = got.read()
                pieces, length = [text], len(text)
            status = got.status
            if "badrange" in found and status == 200 and "Range" in self.headers:
                status = 206
            self.answer(status, kept, found, pieces, length)
        finally:
            there.close()

    def handle_one_request(self):
        try:
            super().handle_one_request()
        except (Cut, ConnectionError, ssl.SSLError, TimeoutError):
            self.end_connection()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = serve


class Storage(Handler):
    def serve(self):
        found = faults("STORAGE", self.path)
        digest = re.search("sha256[:/]([0-9a-f]{64})", self.path)
        name = digest and os.path.join(words.blobs, "docker/registry/v2/blobs/sha256", digest[1][:2], digest[1], "data")
        if self.headers.get("Authorization"):
            status, text = 400, b"Only one auth mechanism allowed"
        elif not name or not os.path.exists(name):
            status, text = 404, b"NoSuchKey"
        else:
            status, text = 200, open(name, "rb").read()
        headers = []
        span = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if status == 200 and span and "norange" not in found:
            first, last = int(span[1]), int(span[2] or len(text) - 1)
            headers.append(("Content-Range", f"bytes {first}-{last}/{len(text)}"))
            status, text = 206, text[first : last + 1]
        self.answer(status, headers, found, [text], len(text))

    def note(self, status, length, found):
        super().note(status, length, found, "STORAGE ")

    do_GET = do_HEAD = serve


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_):
        pass


server = Server(("127.0.0.1", 0), Handler)
if words.tls:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*words.tls)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
storage = Server(("127.0.0.1", 0), Storage)
threading.Thread(target=storage.serve_forever, daemon=True).start()
for name, port in ("storage", storage.server_address[1]), ("port", server.server_address[1]):
    with open(os.path.join(words.dir, name + ".new"), "w") as f:
        f.write(str(port))
    os.rename(os.path.join(words.dir, name + ".new"), os.path.join(words.dir, name))
server.serve_forever()
