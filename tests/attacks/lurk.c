// lurk MILLISECONDS: waits in a container for processes that enter it, and tries to look into each before it has
// become what it is to run: its root, its memory, its program, ptrace(2). A line for each success on one
// whose root is not this one's, or whose program is none of the container's; and whether one whose memory can be
// written has rights that this one has not.
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct stat own;
static unsigned long long rights;

static unsigned long long permitted(const char *pid) {
  char path[64], line[256];
  unsigned long long caps = 0;
  snprintf(path, sizeof path, "/proc/%s/status", pid);
  FILE *file = fopen(path, "r");
  while (file && fgets(line, sizeof line, file)) sscanf(line, "CapPrm: %llx", &caps);
  if (file) fclose(file);
  return caps;
}

static void look(int pid) {
  char path[64], exe[256];
  struct stat st;
  snprintf(path, sizeof path, "/proc/%d/root/", pid);
  if (!stat(path, &st) && (st.st_dev != own.st_dev || st.st_ino != own.st_ino)) {
    snprintf(path, sizeof path, "/proc/%d/root/etc/hostname", pid);
    int fd = open(path, O_RDONLY);
    printf("root of another: %s\n", fd < 0 ? "seen" : "a file read");
    if (fd >= 0) close(fd);
  }
  snprintf(path, sizeof path, "/proc/%d/exe", pid);
  int n = readlink(path, exe, sizeof exe - 1);
  if (n <= 0) return;
  exe[n] = 0;
  if (!access(exe, F_OK) && strcmp(exe, "/")) return;
  printf("program of another: %s\n", exe);
  snprintf(path, sizeof path, "/proc/%d/mem", pid);
  int fd = open(path, O_RDWR);
  if (fd >= 0) {
    char word[16];
    snprintf(word, sizeof word, "%d", pid);
    puts(permitted(word) & ~rights ? "memory of another, with more rights" : "memory of another");
    close(fd);
  }
  if (!ptrace(PTRACE_ATTACH, pid, 0, 0)) {
    puts("traced");
    waitpid(pid, 0, __WALL);
    ptrace(PTRACE_DETACH, pid, 0, 0);
    kill(pid, SIGCONT);
  }
}

int main(int count, char **words) {
  struct timespec from, now;
  if (count < 2 || stat("/", &own)) return 2;
  rights = permitted("self");
  puts("ready");
  setvbuf(stdout, 0, _IOLBF, 0);
  fflush(stdout);
  clock_gettime(CLOCK_MONOTONIC, &from);
  for (;;) {
    DIR *dir = opendir("/proc");
    for (struct dirent *entry; dir && (entry = readdir(dir));)
      if (atoi(entry->d_name) > 1 && atoi(entry->d_name) != getpid()) look(atoi(entry->d_name));
    closedir(dir);
    clock_gettime(CLOCK_MONOTONIC, &now);
    long ms = (now.tv_sec - from.tv_sec) * 1000 + (now.tv_nsec - from.tv_nsec) / 1000000;
    if (ms > atol(words[1])) return 0;
  }
}
