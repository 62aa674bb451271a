#!/usr/bin/env python3
"""A token server for a registry (distribution's "token authentication").

  token.py DIR CERT KEY

Writes its port to DIR/port. DIR/users has a line `NAME PASSWORD` each. Without credentials one may
pull what is below public/; a user may do all. Files in DIR that change what it does, read at each
request:

  expires   seconds that a token is good for (60)
  says      the expires_in of the answer, if that is another figure; - leaves it out
  key       the answer's key: token (default) or access_token
  refuse    all requests get this status

DIR/log has a line a request: METHOD USER|- SCOPE... STATUS
"""
import base64, http.server, json, os, subprocess, sys, threading, time, urllib.parse

where, cert, key = sys.argv[1:]
der = subprocess.run(["openssl", "x509", "-in", cert, "-outform", "DER"], capture_output=True, check=True).stdout
lock = threading.Lock()
log = open(os.path.join(where, "log"), "a", buffering=1)


def setting(name, default):
    try:
        return open(os.path.join(where, name)).read().strip()
    except FileNotFoundError:
        return default


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def sign(claims):
    head = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(der).decode()]}
    text = b64(json.dumps(head).encode()) + b"." + b64(json.dumps(claims).encode())
    made = subprocess.run(["openssl", "dgst", "-sha256", "-sign", key], input=text, capture_output=True, check=True)
    return (text + b"." + b64(made.stdout)).decode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, what, user, scopes):
        with lock:
            log.write(f"{self.command} {user or '-'} {' '.join(scopes) or '-'} {status}\n")
        text = json.dumps(what).encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def serve(self):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        user = password = None
        users = dict(line.split() for line in setting("users", "").splitlines())
        if self.command == "POST":
            query = urllib.parse.parse_qs(self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode())
            if query.get("grant_type") == ["refresh_token"]:
                # An identity token of this server is the user's name behind a word.
                user = query.get("refresh_token", [""])[0].removeprefix("identity-")
                password = users.get(user)
            else:
                user, password = (query.get(k, [""])[0] for k in ("username", "password"))
        elif self.headers.get("Authorization", "").startswith("Basic "):
            text = base64.b64decode(self.headers["Authorization"][6:]).decode()
            user, _, password = text.partition(":")
        scopes = [s for line in query.get("scope", []) for s in line.split()]
        refused = setting("refuse", "")
        if refused:
            return self.answer(int(refused), {"details": "a fault of the test"}, user, scopes)
        if user is not None and (user not in users or users[user] != password):
            return self.answer(401, {"details": "incorrect username or password"}, user, scopes)
        access = []
        for scope in scopes:
            kind, _, rest = scope.partition(":")
            name, _, actions = rest.rpartition(":")
            actions = actions.split(",")
            if user is None:
                actions = [a for a in actions if a == "pull" and name.startswith("public/")]
            access.append({"type": kind, "name": name, "actions": actions})
        now = int(time.time())
        expires = int(setting("expires", "60"))
        # The registry is lenient by a minute on both ends.
        token = sign(
            {"iss": "test-issuer", "sub": user or "", "aud": "test-registry", "exp": now + expires - 60,
             "nbf": now - 120, "iat": now, "jti": str(time.time()), "access": access}
        )
        what = {setting("key", "token"): token}
        says = setting("says", str(expires))
        if says != "-":
            what["expires_in"] = int(says)
            what["issued_at"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
        if user and (query.get("offline_token") == ["true"] or query.get("access_type") == ["offline"]):
            what["refresh_token"] = "identity-" + user
        self.answer(200, what, user, scopes)

    do_GET = do_POST = serve


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
with open(os.path.join(where, "port.new"), "w") as f:
    f.write(str(server.server_address[1]))
os.rename(os.path.join(where, "port.new"), os.path.join(where, "port"))
server.serve_forever()
