// Wants a way out: sockets of every family, the control socket, abstract names of the host.
#include <sys/socket.h>
#include <sys/un.h>

#include "evil.h"

static void attack(void) {
  for (int family = 0; family < 47; ++family) {
    static const int kTypes[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET};
    for (size_t i = 0; i < 4; ++i) {
      const int fd = socket(family, kTypes[i], 0);
      if (fd >= 0) say("SUCCEEDED socket family %d type %d", family, kTypes[i]);
    }
  }
  attempt("socket AF_INET", socket(AF_INET, SOCK_STREAM, 0));
  attempt("socket AF_NETLINK", socket(AF_NETLINK, SOCK_RAW, 0));
  attempt("socket AF_VSOCK", socket(AF_VSOCK, SOCK_STREAM, 0));
  struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "\0evil"};
  // The link is a connected socket: it must not become another one.
  attempt("connect on the link", connect(3, (struct sockaddr*)&name, sizeof name));
  attempt("bind on the link", bind(3, (struct sockaddr*)&name, sizeof name));
}

EVIL_PLUGIN;
