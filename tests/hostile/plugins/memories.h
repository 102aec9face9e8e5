// Memories as an evil plugin asks for them: over the link, by number.
#ifndef MEMORIES_H
#define MEMORIES_H

#include "link.h"

enum { kMade = 13, kSent = 14, kMake = 74, kSend = 75, kRelease = 76 };

struct memory {
  uint64_t number;
  int fd;
  int32_t refused; // why not
};
struct make_request {
  struct link_header header;
  uint64_t bytes;
};
struct send_request {
  struct link_header header;
  uint64_t channel, message, memory;
};

// The answer to the last question: its first words, and a descriptor if one came.
struct answer {
  struct link_header header;
  union {
    uint64_t memory;
    int32_t code;
  };
  char rest[2000];
};
UNUSED static int wait_for_answer(struct answer* answer, int* fd) {
  for (;;) {
    int fds[4];
    if (take_record(answer, sizeof *answer, fds, 2000) == 0) return 0;
    const int mine = answer->header.sequence == link_sequence;
    for (int i = 0; i < 4; ++i) {
      if (fds[i] >= 0 && (!mine || i != 0)) close(fds[i]);
    }
    *fd = fds[0];
    if (mine) return 1;
  }
}

UNUSED static int ask_for_memory(uint64_t bytes, struct memory* memory) {
  const struct make_request question = {{2, kMake, 0, sizeof question, ++link_sequence}, bytes};
  struct answer answer;
  *memory = (struct memory){0, -1, -1};
  if (send(3, &question, sizeof question, 0) < 0) return 0;
  if (!wait_for_answer(&answer, &memory->fd)) return 0;
  if (answer.header.type != kMade) {
    memory->refused = -answer.code;
    return 0;
  }
  memory->number = answer.memory;
  memory->refused = 0;
  return 1;
}

UNUSED static int32_t ask_to_send(uint64_t channel, uint64_t message, uint64_t memory) {
  const struct send_request question = {
      {2, kSend, 0, sizeof question, ++link_sequence}, channel, message, memory};
  struct answer answer;
  int fd = -1;
  if (send(3, &question, sizeof question, 0) < 0) return -1;
  if (!wait_for_answer(&answer, &fd)) return -1;
  return answer.header.type == kSent ? 0 : -answer.code;
}

UNUSED static void ask_to_release(uint64_t channel, uint64_t message, uint64_t memory) {
  const struct send_request record = {
      {2, kRelease, 0, sizeof record, ++link_sequence}, channel, message, memory};
  (void)send(3, &record, sizeof record, 0);
}

UNUSED static mohhos_channel_t victims_channel(void) {
  mohhos_channel_t channel = 0;
  (void)evil_host->open_channel(evil_host, 0, "victim", 0, 1000000000u, &channel);
  return channel;
}

UNUSED static int32_t options_send(mohhos_channel_t channel, mohhos_memory_t memory) {
  const mohhos_send_options_t options = {
      .struct_size = sizeof options, .timeout_ns = 1000000000u, .memory = memory};
  return evil_host->send(evil_host, channel, &options, "x", 1);
}

#endif
