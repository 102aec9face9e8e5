/* Memories that ride along, in the C API: against a plugin that sends back what it gets, with one
 * of its own (argv[1]), and one that keeps them (argv[2]). argv[3]: the manager, that is stopped
 * for a while. */
#undef NDEBUG
#define _GNU_SOURCE
#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mohhos/mohhos.h"
#include "start_plugin.h"

static plugin_id_t bounce;
static plugin_id_t gallery;

static plugin_message_t text_message(char* text) {
  plugin_message_t message = {
      .type = MSG_PLUGIN_CUSTOM, .data_size = (uint32_t)strlen(text), .data = text};
  return message;
}

static bool is_full_of(const plugin_memory_t* memory, uint64_t size, int byte) {
  const unsigned char* bytes = memory->data;
  if (memory->size != size || bytes == NULL) return false;
  for (uint64_t at = 0; at < size; at++)
    if (bytes[at] != byte) return false;
  return true;
}

static void make(plugin_memory_t* memory, uint64_t size, int byte) {
  assert(plugin_make_memory(memory, size) == 0);
  assert(memory->id != 0 && is_full_of(memory, size, 0));
  memset(memory->data, byte, size);
}

static void send_with(plugin_id_t target, char* text, plugin_memory_t* memory) {
  plugin_message_t message = text_message(text);
  assert(plugin_send_memory(target, &message, memory) == 0);
  assert(message.id != 0 && message.sender != 0 && message.receiver == target);
  assert(memory->data == NULL);
}

/* Also with messages that have no bytes; and the same one again and again. */
static void test_there_and_back(void) {
  char texts[][5] = {"look", "", "more"};
  const uint64_t size = (1 << 20) + 1;
  plugin_memory_t memory;
  make(&memory, size, 'm');
  for (int i = 0; i < 3; i++) {
    plugin_message_t view;
    plugin_memory_t back;
    plugin_memory_t again;
    send_with(bounce, texts[i], &memory);
    assert(plugin_receive_view(&view, 5000) == 0);
    assert(view.data_size == strlen(texts[i]) && view.flags == PLUGIN_MESSAGE_MEMORY);
    assert(memcmp(view.data, texts[i], view.data_size) == 0);
    assert(plugin_take_memory(&view, &back) == 0 && back.id != memory.id);
    assert(plugin_take_memory(&view, &again) == 0 && again.id == back.id);
    plugin_message_t released = view;
    assert(plugin_release_view(&view) == 0);
    assert(plugin_take_memory(&released, &again) == PLUGIN_E_NOT_FOUND);
    assert(is_full_of(&back, size, 'm' + 1));
    /* What came is its maker's to send. */
    plugin_message_t message = text_message(texts[0]);
    assert(plugin_send_memory(bounce, &message, &back) == PLUGIN_E_NOT_FOUND);
    assert(is_full_of(&back, size, 'm' + 1));
    assert(plugin_drop_memory(&back) == 0 && back.data == NULL);
    assert(plugin_drop_memory(&back) == PLUGIN_E_NOT_FOUND);
  }
  assert(plugin_drop_memory(&memory) == 0);
  plugin_message_t message = text_message(texts[0]);
  assert(plugin_send_memory(bounce, &message, &memory) == PLUGIN_E_NOT_FOUND);
}

/* What is not taken takes nothing from anybody: more than a pair may have goes through. */
static void test_what_is_not_taken(void) {
  char text[] = "not taken";
  plugin_memory_t memory;
  plugin_message_t view;
  make(&memory, 4096, 'n');
  for (int i = 0; i < 40; i++) {
    send_with(bounce, text, &memory);
    if (i % 2 == 0) {
      assert(plugin_receive_view(&view, 5000) == 0);
      assert(plugin_release_view(&view) == 0);
    } else { /* a copy comes without */
      assert(plugin_receive_message(&view, 5000) == 0 && view.flags == 0);
      assert(plugin_take_memory(&view, &(plugin_memory_t){0}) == PLUGIN_E_NOT_FOUND);
      plugin_message_free(&view);
    }
  }
  assert(plugin_drop_memory(&memory) == 0);
}

static void test_what_has_none(void) {
  char text[] = "nothing with it";
  plugin_message_t message = text_message(text);
  plugin_message_t view;
  plugin_memory_t memory;
  assert(plugin_send_message(bounce, &message) == 0);
  assert(plugin_receive_view(&view, 5000) == 0 && view.flags == 0);
  assert(plugin_take_memory(&view, &memory) == PLUGIN_E_NOT_FOUND);
  assert(plugin_take_memory(&view, NULL) == PLUGIN_E_INVALID);
  assert(plugin_take_memory(NULL, &memory) == PLUGIN_E_INVALID);
  assert(plugin_release_view(&view) == 0);
  assert(plugin_drop_memory(NULL) == PLUGIN_E_INVALID);
  assert(plugin_send_memory(bounce, &message, NULL) == PLUGIN_E_INVALID);
  make(&memory, 1, 'x');
  assert(plugin_send_memory(0, &message, &memory) == PLUGIN_E_INVALID);
  assert(plugin_send_memory(bounce, NULL, &memory) == PLUGIN_E_INVALID);
  assert(is_full_of(&memory, 1, 'x'));
  assert(plugin_send_memory(424242, &message, &memory) == PLUGIN_E_NOT_FOUND);
  assert(memory.data == NULL); /* tried is tried */
  send_with(gallery, text, &memory);
  assert(plugin_drop_memory(&memory) == 0);
}

static void test_limits_of_a_maker(void) {
  plugin_memory_t memories[64];
  plugin_memory_t more;
  assert(plugin_make_memory(NULL, 4096) == PLUGIN_E_INVALID);
  assert(plugin_make_memory(&more, 0) == PLUGIN_E_INVALID);
  assert(plugin_make_memory(&more, UINT64_C(1) << 40) == PLUGIN_E_TOO_LARGE);
  for (int i = 0; i < 64; i++) assert(plugin_make_memory(&memories[i], 4096) == 0);
  assert(plugin_make_memory(&more, 4096) == PLUGIN_E_EXHAUSTED);
  assert(strstr(plugin_last_error(), "64") != NULL);
  for (int i = 0; i < 64; i++) assert(plugin_drop_memory(&memories[i]) == 0);
  assert(plugin_make_memory(&more, 4096) == 0);
  assert(plugin_drop_memory(&more) == 0);
}

static void ask_gallery(char* text) {
  plugin_message_t request = text_message(text);
  plugin_message_t answer;
  assert(plugin_call(gallery, &request, &answer, 5000) == 0);
  plugin_message_free(&answer);
}
static void clear_gallery(void) {
  char text[] = "clear";
  ask_gallery(text);
}

/* A plugin that keeps what it gets. */
static void test_limits_of_a_receiver(void) {
  char text[] = "5";
  plugin_memory_t memory;
  plugin_message_t message = text_message(text);
  int sent = 0;
  int result;
  clear_gallery();
  make(&memory, 4096, 'k');
  while ((result = plugin_send_memory(gallery, &message, &memory)) == 0 && sent < 100) sent++;
  assert(result == PLUGIN_E_EXHAUSTED && sent >= 16 && sent <= 17);
  clear_gallery();
  for (int i = 0; i < 10000 && result != 0; i++) /* the daemon may hear of it behind us */
    result = plugin_send_memory(gallery, &message, &memory);
  assert(result == 0);
  assert(plugin_drop_memory(&memory) == 0);
}

/* Another program, with a way to the gallery of its own: it needs no manager to have it cleared. */
static int to_helper, from_helper;
static pid_t helper;

static void help(int requests, int answers) {
  plugin_id_t target = 0;
  while (read(requests, &target, sizeof target) == sizeof target) {
    gallery = target;
    clear_gallery();
    assert(write(answers, &target, sizeof target) == sizeof target);
  }
  mohhos_disconnect();
  _exit(0);
}

static void start_helper(void) {
  int requests[2], answers[2];
  assert(pipe(requests) == 0 && pipe(answers) == 0);
  helper = fork();
  assert(helper >= 0);
  if (helper == 0) {
    close(requests[1]);
    help(requests[0], answers[1]);
  }
  close(requests[0]);
  to_helper = requests[1];
  from_helper = answers[0];
}

static void have_it_cleared(void) {
  plugin_id_t echo = 0;
  assert(write(to_helper, &gallery, sizeof gallery) == sizeof gallery);
  assert(read(from_helper, &echo, sizeof echo) == sizeof echo && echo == gallery);
}

struct sending {
  atomic_long thread;
  plugin_memory_t memory;
  int result;
};

static void* send_one_more(void* argument) {
  struct sending* sending = argument;
  char text[] = "17";
  plugin_message_t message = text_message(text);
  sending->thread = syscall(SYS_gettid);
  sending->result = plugin_send_memory(gallery, &message, &sending->memory);
  return NULL;
}

/* It has asked the manager, and waits. */
static void wait_until_asleep(struct sending* sending) {
  char path[64], state = 0;
  while (sending->thread == 0) sched_yield();
  snprintf(path, sizeof path, "/proc/self/task/%ld/stat", (long)sending->thread);
  for (int i = 0; i < 1000000 && state != 'S'; i++) {
    FILE* file = fopen(path, "r");
    if (file == NULL) return; /* it has ended */
    assert(fscanf(file, "%*d %*s %c", &state) == 1);
    fclose(file);
  }
}

/* The manager hears of the 17th before it hears that the receiver has let go of sixteen. */
static void test_let_go_just_now(pid_t manager) {
  static struct sending sending;
  plugin_memory_t memory;
  char text[] = "5";
  plugin_message_t message = text_message(text);
  have_it_cleared(); /* its channel is open now */
  sending.result = PLUGIN_E_TIMED_OUT;
  for (int i = 0; i < 100 && sending.result == PLUGIN_E_TIMED_OUT; i++) { /* a slow machine */
    pthread_t thread;
    make(&memory, 4096, 'k');
    make(&sending.memory, 4096, 'k');
    while (plugin_send_memory(gallery, &message, &memory) == 0) continue;
    char all[] = "?";
    ask_gallery(all); /* it has them by now; the helper's way to it is another one */
    sending.thread = 0;
    assert(kill(manager, SIGSTOP) == 0);
    assert(pthread_create(&thread, NULL, send_one_more, &sending) == 0);
    wait_until_asleep(&sending);
    have_it_cleared();
    assert(kill(manager, SIGCONT) == 0);
    assert(pthread_join(thread, NULL) == 0);
    assert(plugin_drop_memory(&memory) == 0 && plugin_drop_memory(&sending.memory) == 0);
    clear_gallery();
  }
  assert(sending.result == 0);
}

/* What comes with an answer that is only copied is let go of: more come than a pair may have. */
static void test_answers(void) {
  char text[] = "turn";
  plugin_message_t request = text_message(text);
  for (int i = 0; i < 40; i++) {
    plugin_message_t answer;
    plugin_memory_t memory;
    assert(plugin_call(gallery, &request, &answer, 5000) == 0);
    plugin_message_free(&answer);
    make(&memory, 1, 'x'); /* the daemon answers this when it has heard of the one before */
    assert(plugin_drop_memory(&memory) == 0);
  }
}

static request_id_t ask_with(char* text, plugin_memory_t* memory) {
  plugin_message_t request = text_message(text);
  request_id_t id = 0;
  assert(plugin_request_memory(bounce, &request, memory, 10000, &id) == 0 && id != 0);
  assert(memory->data == NULL);
  return id;
}

/* Several under way at once, and their answers' memories kept beyond all of them. */
static void test_requests(void) {
  char text[] = "four";
  plugin_memory_t asked[3];
  plugin_memory_t came[3];
  request_id_t ids[3];
  plugin_message_t answer;
  for (int i = 0; i < 3; i++) {
    make(&asked[i], 5000, 'a' + 2 * i);
    ids[i] = ask_with(text, &asked[i]);
  }
  for (int i = 2; i >= 0; i--) {
    assert(plugin_wait_memory(ids[i], &answer, &came[i], 10000) == 0);
    assert(answer.data_size == 1 && *(char*)answer.data == '4');
    assert(answer.flags == PLUGIN_MESSAGE_MEMORY && came[i].id != 0);
    plugin_message_free(&answer);
    assert(plugin_wait_memory(ids[i], &answer, &came[i], 0) == PLUGIN_E_NOT_FOUND);
  }
  for (int i = 0; i < 3; i++) {
    assert(is_full_of(&came[i], 5000, 'a' + 2 * i + 1));
    assert(plugin_drop_memory(&came[i]) == 0);
    assert(plugin_drop_memory(&came[i]) == PLUGIN_E_NOT_FOUND);
  }
  /* Whatever becomes of the answer, its memory is let go of: more come than a pair may have. */
  for (int i = 0; i < 40; i++) {
    const request_id_t id = ask_with(text, &asked[0]);
    if (i % 3 == 0) {
      assert(plugin_wait_response(id, &answer, 10000) == 0 && answer.flags == 0);
      plugin_message_free(&answer);
    } else if (i % 3 == 1) {
      (void)plugin_cancel_request(id);
    } else {
      assert(plugin_wait_memory(id, &answer, &came[0], 10000) == 0);
      plugin_message_free(&answer);
      assert(plugin_drop_memory(&came[0]) == 0);
    }
    make(&came[1], 1, 'x'); /* the daemon answers this when it has heard of those before */
    assert(plugin_drop_memory(&came[1]) == 0);
  }
  for (int i = 0; i < 3; i++) assert(plugin_drop_memory(&asked[i]) == 0);
}

static void test_requests_without(void) {
  char text[] = "nothing";
  plugin_message_t request = text_message(text);
  plugin_message_t answer;
  plugin_memory_t memory;
  request_id_t id = 0;
  assert(plugin_request(bounce, &request, 10000, &id) == 0);
  assert(plugin_wait_memory(id, NULL, &memory, 0) == PLUGIN_E_INVALID);
  assert(plugin_wait_memory(id, &answer, NULL, 0) == PLUGIN_E_INVALID);
  assert(plugin_wait_memory(id, &answer, &memory, 10000) == 0);
  assert(memory.id == 0 && memory.data == NULL && answer.flags == 0);
  plugin_message_free(&answer);
  assert(plugin_request_memory(bounce, &request, NULL, 1000, &id) == PLUGIN_E_INVALID);
  make(&memory, 1, 'x');
  assert(plugin_request_memory(0, &request, &memory, 1000, &id) == PLUGIN_E_INVALID);
  assert(plugin_request_memory(bounce, &request, &memory, 1000, NULL) == PLUGIN_E_INVALID);
  assert(is_full_of(&memory, 1, 'x'));
  assert(plugin_request_memory(424242, &request, &memory, 1000, &id) == PLUGIN_E_NOT_FOUND);
  assert(memory.data == NULL);
  assert(plugin_drop_memory(&memory) == 0);
  assert(plugin_request_memory(bounce, &request, &memory, 1000, &id) == PLUGIN_E_NOT_FOUND);
}

/* What the program has stays; what it made cannot be sent any more. */
static void test_disconnect(void) {
  char text[] = "kept";
  plugin_memory_t made;
  plugin_memory_t sent;
  plugin_memory_t came;
  plugin_message_t view;
  plugin_message_t message = text_message(text);
  make(&made, 10000, 'a');
  make(&sent, 10000, 'b');
  send_with(bounce, text, &sent);
  assert(plugin_receive_view(&view, 5000) == 0 && plugin_take_memory(&view, &came) == 0);
  mohhos_disconnect();
  assert(plugin_release_view(&view) == 0);
  assert(is_full_of(&came, 10000, 'b' + 1) && is_full_of(&made, 10000, 'a'));
  assert(plugin_send_memory(bounce, &message, &made) == PLUGIN_E_NOT_FOUND);
  assert(is_full_of(&made, 10000, 'a'));
  assert(plugin_drop_memory(&came) == 0);
  assert(plugin_drop_memory(&made) == 0);
  assert(plugin_drop_memory(&sent) == 0);
  test_there_and_back(); /* over a new connection */
}

int main(int argc, char** argv) {
  assert(argc == 4);
  start_helper();
  bounce = start_plugin(argv[1]);
  gallery = start_plugin(argv[2]);
  test_there_and_back();
  test_what_is_not_taken();
  test_what_has_none();
  test_limits_of_a_maker();
  test_limits_of_a_receiver();
  test_let_go_just_now((pid_t)atol(argv[3]));
  test_answers();
  test_requests();
  test_requests_without();
  test_disconnect();
  mohhos_disconnect();
  close(to_helper);
  int status = 0;
  assert(waitpid(helper, &status, 0) == helper && status == 0);
  puts("the C tests of memories passed");
  return 0;
}
