// reap SIGNAL: sends it to every other process of the container, again and again; its pid 1.
#include <signal.h>
#include <stdlib.h>

int main(int count, char **words) {
  if (count < 2) return 2;
  for (;;) kill(-1, atoi(words[1]));
}
