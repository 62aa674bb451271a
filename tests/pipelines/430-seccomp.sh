#!/bin/sh
# linux.seccomp in the kernel: what every action does, rules that look at arguments, several
# architectures, flags, and who has the filter.
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq gcc
[ "$(id -u)" = 0 ] || skip_all 'root is needed'
rootfs
before=$(snapshot)

cat >call.c <<'EOF'
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
static void trapped(int n, siginfo_t *i, void *c) { (void)c; printf("signal %d call %d\n", n, i->si_syscall); fflush(stdout); _exit(9); }
/* call NUMBER [ARG]...: what a system call gives; 32 before the number: by int 0x80. */
int main(int argc, char **argv)
{
	unsigned long a[6] = { 0 };
	long n, r;
	int i, at = 1, old = 0;
	struct sigaction s = { .sa_sigaction = trapped, .sa_flags = SA_SIGINFO };
	if (getenv("TRAP")) sigaction(SIGSYS, &s, 0);
	if (argc > at && !strcmp(argv[at], "32")) old = at++;
	n = strtol(argv[at++], 0, 0);
	for (i = 0; at < argc && i < 6; i++) a[i] = strtoul(argv[at++], 0, 0);
#ifdef __x86_64__
	if (old) {
		register long r8 __asm__("r8"), r9 __asm__("r9"), r10 __asm__("r10"), r11 __asm__("r11");
		__asm__ volatile("int $0x80" : "=a"(r), "=r"(r8), "=r"(r9), "=r"(r10), "=r"(r11)
			: "a"(n), "b"(a[0]), "c"(a[1]), "d"(a[2]), "S"(a[3]), "D"(a[4]) : "memory");
		errno = r < 0 && r > -4096 ? -r : 0;
		printf("%s\n", errno ? strerrorname_np(errno) : "done");
		return 0;
	}
#endif
	errno = 0;
	r = syscall(n, a[0], a[1], a[2], a[3], a[4], a[5]);
	printf("%s\n", r < 0 ? strerrorname_np(errno) : "done");
	return 0;
}
EOF
gcc -static -O1 -o "$B/bin/call" call.c 2>"$T/gcc" || skip_all "gcc makes no static program: $(head -n 1 "$T/gcc")"
mkdir=$(printf '#include <sys/syscall.h>\nSYS_mkdir SYS_socket SYS_getpid SYS_personality' | gcc -E -P - | tail -n 1)
# shellcheck disable=SC2086
set -- $mkdir
mkdir=$1 socket=$2 getpid=$3 personality=$4

# under PROFILE [COMMAND...]: with this linux.seccomp, as JSON.
under() {
  profile=$1
  shift
  stave new --rootfs "$B" | jq -c --args --argjson s "$profile" '.process.args = $ARGS.positional | .linux.seccomp = $s' \
    -- "$@" >doc
  try sh -c 'stave spawn --rm ${FLAGS:-} <doc'
}
# rule ACTION [MORE]: mkdir and getpid get this, all else is allowed.
rule() {
  printf '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","getpid"],"action":"SCMP_ACT_%s"%s}]}' "$1" "${2:-}"
}

# Every action.
under "$(rule ERRNO)" call "$getpid"
is 'ERRNO is EPERM' "$out" EPERM
under "$(rule ERRNO ',"errnoRet":100')" call "$getpid"
is 'or what errnoRet says' "$out" ENETDOWN
under "$(rule KILL)" call "$getpid"
is 'KILL ends the thread, by SIGSYS' "$status $out" '159 '
under "$(rule KILL_THREAD)" call "$getpid"
is 'KILL_THREAD is the same' "$status $out" '159 '
under "$(rule KILL_PROCESS)" call "$getpid"
is 'KILL_PROCESS ends it with all its threads, pid 1 too' "$status" 159
under "$(rule TRAP)" env TRAP=1 call "$getpid"
is 'TRAP is a signal that tells the call' "$out" "signal 31 call $getpid"
under "$(rule TRACE)" call "$getpid"
is 'TRACE without a tracer: there is no such call' "$out" ENOSYS
under "$(rule LOG)" call "$getpid"
is 'LOG lets it through' "$out" 'done'
under '{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":95,"syscalls":[
  {"names":["read","write","execve","exit_group","arch_prctl","brk","set_tid_address","set_robust_list","rseq","prlimit64",
   "readlink","readlinkat","getrandom","mprotect","newfstatat","fstat","mmap","prctl","capset","setgroups","setresgid","setresuid",
   "setgid","setuid","close_range","rt_sigaction","rt_sigprocmask","lstat","stat","statx","fchown","munmap","close","sendmsg","recvmsg",
   "sigaltstack","ioctl","futex","uname","personality"],
  "action":"SCMP_ACT_ALLOW"}]}' /bin/call "$getpid"
is 'ALLOW, and the default for the rest' "$out" EOPNOTSUPP

# Arguments: socket(2) by its family, as docker's profile has it.
stave new --rootfs "$B" >doc
docker=$(jq -c .linux.seccomp doc)
stave rm "$(jq -r .stave.id doc)" >/dev/null
# Of a family only the lower half is looked at by socket(2), of an argument all of it by a rule.
for case in 1:let 2:let 37:let 38:EPERM 39:let 40:EPERM 41:let 0x100000026:let; do
  under "$docker" call "$socket" "${case%:*}" 1 0
  [ "$out" = EPERM ] || out=let
  is "the default profile: socket ${case%:*}" "$out" "${case#*:}"
done
under "$docker" sh -c "call $personality 0xffffffff; call $personality 0x40000"
is 'personality by its argument' "$out" 'done
EPERM'
args='{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["personality"],"action":"SCMP_ACT_ERRNO","errnoRet":7,"args":[{"index":0,"op":"SCMP_CMP_%s","value":%s,"valueTwo":%s}]}]}'
for case in 'EQ 5 0 5 6' 'NE 5 0 6 5' 'LT 5 0 4 5' 'LE 5 0 5 6' 'GT 5 0 6 5' 'GE 5 0 5 4' 'MASKED_EQ 12 4 5 8' 'GT 4294967296 0 0x100000001 0xffffffff'; do
  # shellcheck disable=SC2086
  set -- $case
  # shellcheck disable=SC2059
  under "$(printf "$args" "$1" "$2" "$3")" sh -c "call $personality $4; call $personality $5 >/dev/null && echo and"
  is "SCMP_CMP_$1 $2" "$out" 'E2BIG
and'
  # shellcheck disable=SC2059
  under "$(printf "$args" "$1" "$2" "$3")" call "$personality" "$5"
  unlike "SCMP_CMP_$1 $2 does not hold for $5" "$out" E2BIG
done

# A call newer than the profile, and one of another machine.
under "$docker" call 4000
is 'a call that the profile cannot know is not there' "$out" ENOSYS
if [ "$(uname -m)" = x86_64 ]; then
  under "$(rule ERRNO)" sh -c 'call 32 20; echo $?'
  is 'of an architecture that is not named: killed' "$(printf '%s\n' "$out" | tail -n 1)" 159
  under "$(rule ERRNO ',"errnoRet":7' | jq -c '.architectures = ["SCMP_ARCH_X86"]')" call 32 20
  is 'i386 has numbers of its own' "$out" E2BIG
  under "$docker" call 32 21 0 0 0 0 0
  is 'mount of i386 in the default profile' "$out" EPERM
else
  skip 'calls of i386' 'not an x86 machine'
fi

# no_new_privs or not, and who has it.
FLAGS=--security-opt=no-new-privileges under "$docker" cat /proc/self/status
is 'loaded under no_new_privs' "$(printf '%s\n' "$out" | awk '/^(NoNewPrivs|Seccomp):/ { print $2 }' | xargs)" '1 2'
under "$(rule ERRNO | jq -c '.flags = ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC"]')" call "$getpid"
is 'flags' "$status $out" '0 EPERM'
under "$(rule ERRNO)" sh -c 'cat /proc/1/status | grep Seccomp_filters'
like 'one filter' "$out" '1$'
FLAGS=--security-opt=seccomp=unconfined under "$docker" cat /proc/self/status
is 'seccomp=unconfined' "$(printf '%s\n' "$out" | awk '/^Seccomp:/ { print $2 }')" "$(awk '/^Seccomp:/ { print $2 }' /proc/self/status)"

# An ordinary user, whose rights have gone by then.
stave new --rootfs "$B" | jq -c --argjson s "$(rule ERRNO)" '.linux.seccomp = $s' >doc
try sh -c 'stave spawn --rm -u 33 -- call '"$getpid"' <doc'
is 'for an ordinary user' "$out" EPERM

# Capabilities unlock calls: the default profile follows them; another does not.
stave new --rootfs "$B" >doc
try sh -c 'stave spawn --rm --cap-add SYS_ADMIN -- sh -c "mount -t tmpfs t /tmp && echo so" <doc'
is '--cap-add SYS_ADMIN gives mount' "$out" so
stave new --rootfs "$B" >doc
try sh -c 'stave spawn --rm -- sh -c "mount -t tmpfs t /tmp || echo no" <doc'
is 'which nobody has without' "$out" no
stave new --rootfs "$B" | jq -c --argjson s "$(rule ERRNO)" '.linux.seccomp = $s' >doc
try sh -c 'stave spawn --rm --cap-add SYS_ADMIN -- call '"$getpid"' <doc'
is 'a profile of the document stays' "$out" EPERM

# Profiles in docker's form.
jq -n '{defaultAction: "SCMP_ACT_ALLOW", archMap: [{architecture: "SCMP_ARCH_X86_64", subArchitectures: ["SCMP_ARCH_X86"]}],
  syscalls: [{name: "getpid", action: "SCMP_ACT_ERRNO", errnoRet: 7, includes: {minKernel: "4.8"}, excludes: {caps: ["CAP_SYS_ADMIN"]}}]}' >file
stave new --rootfs "$B" >doc
try sh -c 'stave spawn --rm --security-opt seccomp=file -- call '"$getpid"' <doc'
is 'a file in the form that docker publishes' "$out" E2BIG
stave new --rootfs "$B" >doc
try sh -c 'stave spawn --rm --cap-add SYS_ADMIN --security-opt seccomp=file -- call '"$getpid"' <doc'
is 'resolved for the capabilities' "$out" 'done'
echo '{"defaultAction":"ALLOW"}' >file
stave new --rootfs "$B" >doc
try sh -c 'stave spawn --rm --security-opt seccomp=file -- true <doc'
like 'a wrong one is named' "$status $err" '^125 stave-spawn: seccomp profile file: defaultAction: "ALLOW" is no action$'
try sh -c 'stave spawn --rm --security-opt seccomp=no-file -- true <doc'
like 'one that is not there too' "$status $err" '^125 stave-spawn: seccomp profile no-file: No such file or directory$'
stave rm "$(jq -r .stave.id doc)" >/dev/null
refuses 'an option that there is not' 2 'no such option' stave spawn --rm --security-opt x=y doc

# exec has the container's.
stave new --rootfs "$B" it | jq -c --argjson s "$(rule ERRNO)" '.linux.seccomp = $s' | stave keep -- sleep 100 >id
ok 'exec has the filter' stave exec it call "$getpid"
is 'of the container' "$out" EPERM
stave rm -f it >/dev/null

# The printed steps run.
stave new --rootfs "$B" shown | jq -c --argjson s "$(rule ERRNO)" '.linux.seccomp = $s' >doc
stave spawn -n -- call "$getpid" <doc >script
like 'the step can be read' "$(cat script)" "seccomp.*filter.*[0-9]+,32 0 0 4,"
ok 'and run' sh script
is 'with the filter' "$out" EPERM
stave rm -f shown >/dev/null

# What cannot be.
stave new --rootfs "$B" | jq -c '.linux.seccomp.syscalls[0].action = "SCMP_ACT_NONE"' >doc
refuses 'a wrong profile is named before anything is made' 125 'linux.seccomp.syscalls.0.action: .SCMP_ACT_NONE.' \
  sh -c 'stave spawn --rm <doc'
stave rm "$(jq -r .stave.id doc)" >/dev/null
under "$(rule ERRNO | jq -c '.syscalls[0].names += ["no_such_call"]')" call "$getpid"
is 'an unknown name is passed over with a warning' "$out $err" 'EPERM stave-spawn: warning: seccomp: there is no system call no_such_call'

nothing_left 'nothing is left' "$before"
finish
