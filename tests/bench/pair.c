/* Times two commands as whole processes, in turn (A B A B ...), fork to exit.
 *
 *   pair [-n RUNS] [-m FILE] [-p SCRIPT] 'COMMAND A' 'COMMAND B'
 *
 * Prints wall and CPU time of each (ms: minimum, median) and the median of the ratios A/B of the
 * pairs; with -p also the largest process (MiB). With -m, B runs in the mount namespace that FILE
 * pins; with -p, sh runs SCRIPT before each command, outside of the time. A command is words split
 * at blanks; one that fails ends it all. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX = 1000, WORDS = 100 };

static int null;

/* wall and CPU milliseconds of one run */
static void run(char **argv, int ns, double *wall, double *cpu, long *most)
{
	struct timespec a, b;
	struct rusage usage;
	int status;
	clock_gettime(CLOCK_MONOTONIC, &a);
	pid_t pid = vfork();
	if (pid == 0) {
		for (int fd = 0; fd < 3; fd++)
			dup2(null, fd);
		if (ns >= 0 && setns(ns, CLONE_NEWNS) != 0)
			_exit(99);
		execvp(argv[0], argv);
		_exit(98);
	}
	if (pid < 0 || wait4(pid, &status, 0, &usage) < 0) {
		perror("pair");
		exit(1);
	}
	clock_gettime(CLOCK_MONOTONIC, &b);
	if (status != 0) {
		fprintf(stderr, "pair: %s: wait status %#x\n", argv[0], status);
		exit(1);
	}
	if (usage.ru_maxrss > *most)
		*most = usage.ru_maxrss;
	*wall = (b.tv_sec - a.tv_sec) * 1e3 + (b.tv_nsec - a.tv_nsec) / 1e6;
	*cpu = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e3 +
	       (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e3;
}

static char **words(char *text)
{
	char **argv = calloc(WORDS, sizeof *argv);
	int n = 0;
	for (char *w = strtok(text, " "); w && n + 1 < WORDS; w = strtok(NULL, " "))
		argv[n++] = w;
	return argv;
}

static int order(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static double median(double *list, int n)
{
	qsort(list, n, sizeof *list, order);
	return n % 2 ? list[n / 2] : (list[n / 2 - 1] + list[n / 2]) / 2;
}

int main(int argc, char **argv)
{
	static double a[2][MAX], b[2][MAX], ratio[2][MAX];
	int runs = 50, ns = -1, c;
	const char *before = NULL;
	long most[2] = {0, 0};
	while ((c = getopt(argc, argv, "n:m:p:")) != -1) {
		if (c == 'n')
			runs = atoi(optarg);
		else if (c == 'p')
			before = optarg;
		else if (c == 'm' && (ns = open(optarg, O_RDONLY | O_CLOEXEC)) < 0)
			return perror(optarg), 1;
		else if (c == '?')
			return 2;
	}
	if (argc - optind != 2 || runs < 1 || runs > MAX)
		return fputs("usage: pair [-n RUNS] [-m FILE] [-p SCRIPT] A B\n", stderr), 2;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	char **first = words(argv[optind]), **second = words(argv[optind + 1]);
	for (int i = -1; i < runs; i++) { /* the first pair warms up */
		int at = i < 0 ? 0 : i;
		if (before && system(before) != 0)
			return fputs("pair: the script failed\n", stderr), 1;
		run(first, -1, &a[0][at], &a[1][at], &most[0]);
		if (before && system(before) != 0)
			return fputs("pair: the script failed\n", stderr), 1;
		run(second, ns, &b[0][at], &b[1][at], &most[1]);
	}
	for (int k = 0; k < 2; k++) {
		for (int i = 0; i < runs; i++)
			ratio[k][i] = b[k][i] > 0 ? a[k][i] / b[k][i] : 0;
		double ma = median(a[k], runs), mb = median(b[k], runs);
		printf("  %-4s  %7.1f %7.1f   %7.1f %7.1f   %5.2f\n", k ? "cpu" : "wall", a[k][0], ma, b[k][0], mb,
		       median(ratio[k], runs));
	}
	if (before)
		printf("  most  %7.1f           %7.1f\n", most[0] / 1024.0, most[1] / 1024.0);
}
