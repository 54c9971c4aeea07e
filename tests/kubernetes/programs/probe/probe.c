/* Tries connections and says which open: probe WAIT NAME=ADDRESS:PORT…
 * One line for each, "NAME open" or "NAME closed", all tried at the same time for three seconds, after WAIT seconds in which
 * the node may learn of this pod. IPv4 addresses only: names are tried by the services themselves. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MOST 64
#define PATIENCE_MS 3000

static int begin(char *target) {
  char *address = strchr(target, '='), *port = strrchr(target, ':');
  if (!address || !port || port < address) {
    fprintf(stderr, "%s is not NAME=ADDRESS:PORT\n", target);
    exit(2);
  }
  *address++ = 0;
  *port++ = 0;
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
  if (inet_pton(AF_INET, address, &to.sin_addr) != 1) {
    fprintf(stderr, "%s is no IPv4 address\n", address);
    exit(2);
  }
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (connect(fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS) {
    close(fd);
    return -1;
  }
  return fd;
}

static long now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int main(int count, char **arguments) {
  struct pollfd polled[MOST];
  int open[MOST] = {0}, targets = count - 2;
  if (targets < 1 || targets > MOST) {
    fprintf(stderr, "probe WAIT NAME=ADDRESS:PORT…\n");
    return 2;
  }
  sleep(atoi(arguments[1]));
  for (int i = 0; i < targets; i++)
    polled[i] = (struct pollfd){.fd = begin(arguments[i + 2]), .events = POLLOUT};
  for (long end = now_ms() + PATIENCE_MS, left; (left = end - now_ms()) > 0;) {
    if (poll(polled, targets, left) <= 0)
      break;
    for (int i = 0; i < targets; i++) {
      int error = 0;
      socklen_t size = sizeof error;
      if (polled[i].fd < 0 || !polled[i].revents)
        continue;
      getsockopt(polled[i].fd, SOL_SOCKET, SO_ERROR, &error, &size);
      open[i] = error == 0;
      polled[i].fd = -1;
    }
  }
  for (int i = 0; i < targets; i++)
    printf("%s %s\n", arguments[i + 2], open[i] ? "open" : "closed");
  return 0;
}
