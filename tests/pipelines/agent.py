"""A seccomp agent: agent.py SOCKET [once]. Takes one container process state a connection, prints it
as a line, and answers mkdir(2) and mkdirat(2) with ENOMEDIUM, every other call with go on."""
import array, ctypes, fcntl, json, os, socket, struct, sys, threading

RECV, SEND = 0xC0502100, 0xC0182101
ENOMEDIUM, CONTINUE = 123, 1
MKDIR = {83, 258, 34} if os.uname().machine == "x86_64" else {34}


def serve(fd):
    while True:
        buf = bytearray(80)
        try:
            fcntl.ioctl(fd, RECV, buf)
        except OSError:
            break
        ident, _pid, _flags, nr = struct.unpack_from("QIIi", buf)
        deny = nr in MKDIR
        answer = bytearray(struct.pack("QqiI", ident, 0, -ENOMEDIUM if deny else 0, 0 if deny else CONTINUE))
        try:
            fcntl.ioctl(fd, SEND, answer)
        except OSError:
            pass


path = sys.argv[1]
listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
listener.bind(path)
listener.listen()
print("listening", flush=True)
while True:
    connection, _ = listener.accept()
    fds = array.array("i")
    text = b""
    while True:
        data, control, _, _ = connection.recvmsg(65536, socket.CMSG_SPACE(64))
        for level, kind, payload in control:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds.frombytes(payload)
        text += data
        try:
            state = json.loads(text)
            break
        except ValueError:
            if not data:
                raise
    state["descriptors"] = len(fds)
    print(json.dumps(state), flush=True)
    threading.Thread(target=serve, args=(fds[0],), daemon=True).start()
