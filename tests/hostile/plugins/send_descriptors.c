// Sends descriptors over the link: in-flight descriptors are a resource of the whole uid.
#include <sys/socket.h>

#include "evil.h"

static void attack(void) {
  char byte = 0;
  struct iovec data = {&byte, 1};
  union {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
  } control = {{0}};
  struct msghdr message = {.msg_iov = &data,
                           .msg_iovlen = 1,
                           .msg_control = control.bytes,
                           .msg_controllen = sizeof control.bytes};
  struct cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  const int fd = 0;
  memcpy(CMSG_DATA(header), &fd, sizeof fd);
  attempt("sendmsg SCM_RIGHTS", sendmsg(3, &message, MSG_DONTWAIT));
  struct mmsghdr many = {message, 0};
  attempt("sendmmsg SCM_RIGHTS", sendmmsg(3, &many, 1, MSG_DONTWAIT));
}

EVIL_PLUGIN;
