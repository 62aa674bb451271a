/* trace PROGRAM COMMAND [ARG...]: runs the command step by step (ptrace(2)), and prints the distinct
 * addresses, 16 hexadecimal digits each, at which it or a child of it was while it ran PROGRAM: what of a
 * program is gone through. PROGRAM must be linked to a fixed address. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BASE = 0x200000, SIZE = 64 << 20 };

static unsigned char seen[SIZE];
/* by pid: whether it runs the program: 1 yes, 2 no, 0 not looked at yet */
static char runs[1 << 22];

static int is_program(pid_t pid, const struct stat *program)
{
	char path[64];
	struct stat exe;
	snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
	return stat(path, &exe) == 0 && exe.st_dev == program->st_dev && exe.st_ino == program->st_ino;
}

int main(int argc, char **argv)
{
	struct stat program;
	struct user_regs_struct regs;
	int status;

	if (argc < 3 || stat(argv[1], &program) != 0)
		return fprintf(stderr, "usage: trace PROGRAM COMMAND [ARG...]\n"), 2;
	pid_t first = fork();
	if (first == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		execvp(argv[2], argv + 2);
		perror(argv[2]);
		_exit(127);
	}
	if (first < 0 || waitpid(first, &status, 0) != first || !WIFSTOPPED(status))
		return perror("trace"), 1;
	ptrace(PTRACE_SETOPTIONS, first, NULL,
	       PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC);
	ptrace(PTRACE_SINGLESTEP, first, NULL, NULL);
	int result = 0;
	for (;;) {
		pid_t pid = waitpid(-1, &status, __WALL);
		if (pid < 0 && errno == EINTR)
			continue;
		if (pid < 0)
			break;
		if (!WIFSTOPPED(status)) {
			if (pid == first)
				result = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
			continue;
		}
		int signal = WSTOPSIG(status), event = status >> 16;
		if (event == PTRACE_EVENT_EXEC || runs[pid] == 0)
			runs[pid] = is_program(pid, &program) ? 1 : 2;
		if (signal == SIGTRAP || signal == SIGSTOP) {
			if (runs[pid] == 1 && ptrace(PTRACE_GETREGS, pid, NULL, &regs) == 0 &&
			    regs.rip - BASE < SIZE)
				seen[regs.rip - BASE] = 1;
			signal = 0;
		}
		/* Only the program is followed step by step. */
		ptrace(runs[pid] == 1 ? PTRACE_SINGLESTEP : PTRACE_CONT, pid, NULL, signal);
	}
	for (size_t n = 0; n < SIZE; n++)
		if (seen[n])
			printf("%016zx\n", n + BASE);
	return result;
}
