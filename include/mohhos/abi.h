/* The contract between a plugin and the process that hosts it: plain C11, and C++ of any age.
 *
 * A plugin is one shared object with one exported symbol, `mohhos_plugin`: a table of callbacks.
 * The host calls them; the plugin calls back through the `mohhos_host_t` that create() gets.
 * Nothing else crosses: no exceptions, no C++ types, no ownership of memory, no file descriptors.
 *
 * (C++ authors: mohhos/sdk.hpp makes a class of this. C authors and other languages: this is all of
 * it.)
 *
 * THREADS. The host calls every callback on one thread, the plugin's main thread, one at a time,
 * never one from inside another (exception: none). A plugin may start threads of its own. Each
 * function of the host table says who may call it: [main]  on the main thread, inside a callback
 *   [any]   on any thread, at any time from the start of create() to the return of destroy()
 *
 * TIME. Nanoseconds of CLOCK_MONOTONIC, as uint64_t. Points in time are called ..._at_ns or
 * deadline_ns, durations timeout_ns or delay_ns. 0 as a deadline is none; 0 as a timeout is 'do not
 * wait'.
 *
 * RESULTS. int32_t: >= 0 is success (and sometimes a count), < 0 is one of MOHHOS_E_... Outputs are
 * written on success only.
 *
 * STRINGS are UTF-8 and end in NUL. A string that is passed in is copied before the call returns;
 * one that is handed out lives until the current callback returns.
 *
 * LIMITS. create() with on_init(), on_start() or on_stop() taking longer than the plugin's
 * max_execution_time_ms ends the process. The other callbacks are not timed in version 1, but a
 * plugin whose callback does not return gets no message and cannot be stopped in order: long work
 * belongs into on_work, in slices, or into a thread of the plugin's own (which then calls wake()).
 *
 * GROWTH. Structs only grow at the end; struct_size says how much of one the other side knows. A
 * host refuses a plugin whose abi_version differs from its own (MOHHOS_E_INCOMPATIBLE).
 */
#ifndef MOHHOS_ABI_H
#define MOHHOS_ABI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MOHHOS_ABI_VERSION 1u

/* Failures: the project's codes, negated. The same numbers come out of the C API; plugctl's
 * JSON has them as words. */
enum {
  MOHHOS_OK = 0,
  MOHHOS_E_FAILED = -1,          /* none of the others fits */
  MOHHOS_E_INVALID = -2,         /* an argument is wrong */
  MOHHOS_E_NOT_FOUND = -3,       /* no such plugin, channel, key */
  MOHHOS_E_EXISTS = -4,          /* the name is taken */
  MOHHOS_E_BAD_STATE = -5,       /* the call is not legal now, or not on this thread */
  MOHHOS_E_NOT_RUNNING = -6,     /* the peer is not RUNNING */
  MOHHOS_E_DENIED = -7,          /* an ACL or a capability says no */
  MOHHOS_E_UNTRUSTED = -8,       /* signature or trust */
  MOHHOS_E_NO_SANDBOX = -9,      /* a required wall cannot be built */
  MOHHOS_E_DEPENDENCY = -10,     /* missing, or version out of range */
  MOHHOS_E_INCOMPATIBLE = -11,   /* another ABI version or machine */
  MOHHOS_E_CONSENT_NEEDED = -12, /* a capability that nobody granted */
  MOHHOS_E_UNREACHABLE = -13,    /* the manager cannot be reached */
  MOHHOS_E_TIMED_OUT = -14,      /* the deadline passed */
  MOHHOS_E_MALFORMED = -15,      /* the bytes are not what they should be */
  MOHHOS_E_TOO_LARGE = -16,      /* larger than the channel can carry */
  MOHHOS_E_EXHAUSTED = -17,      /* memory, table, quota */
  MOHHOS_E_PLUGIN_FAILED = -18,  /* the plugin itself said no, threw or died */
  MOHHOS_E_PEER_GONE = -19,      /* the other side of the channel is not there any more */
  MOHHOS_E_PEER_RESTARTED = -20, /* the other side was replaced by a new process */
  MOHHOS_E_REFUSED = -21,        /* the peer's ring is full and the timeout was 0 */
  MOHHOS_E_CANCELLED = -22,      /* given up: the plugin is being unloaded */
  MOHHOS_E_UNSUPPORTED = -23     /* this host does not have that */
};

/* US-004's message_type_t, number for number. */
enum {
  MOHHOS_MSG_INIT = 0,
  MOHHOS_MSG_SHUTDOWN = 1,
  MOHHOS_MSG_CONFIG_UPDATE = 2,
  MOHHOS_MSG_DATA_REQUEST = 3,  /* what request() sends by default, and `plugctl call` */
  MOHHOS_MSG_DATA_RESPONSE = 4, /* what reply() sends */
  MOHHOS_MSG_EVENT_NOTIFY = 5,  /* what publish() sends */
  MOHHOS_MSG_AI_INFERENCE = 6,
  MOHHOS_MSG_CUSTOM = 7
};

/* US-004's priority_t. Higher first, without starving the rest; 0, and so a zeroed struct, is the
 * usual. */
enum {
  MOHHOS_PRIORITY_LOW = -1,
  MOHHOS_PRIORITY_NORMAL = 0,
  MOHHOS_PRIORITY_HIGH = 1,
  MOHHOS_PRIORITY_URGENT = 2
};

/* US-004's plugin_type_t, number for number; what broadcast() addresses. */
enum {
  MOHHOS_TYPE_AI_MODEL = 0,
  MOHHOS_TYPE_WEB_EXTENSION = 1,
  MOHHOS_TYPE_P2P_PROTOCOL = 2,
  MOHHOS_TYPE_PROMPT_PROCESSOR = 3,
  MOHHOS_TYPE_SYSTEM_OPTIMIZER = 4,
  MOHHOS_TYPE_DEVICE_DRIVER = 5,
  MOHHOS_TYPE_CUSTOM = 6
};

/* US-004's capability_set_t, for check_capability(). Bit n of custom_capabilities is
 * MOHHOS_CAP_CUSTOM + n. */
enum {
  MOHHOS_CAP_ACCESS_FILESYSTEM = 0,
  MOHHOS_CAP_ACCESS_NETWORK = 1,
  MOHHOS_CAP_ACCESS_HARDWARE = 2,
  MOHHOS_CAP_CREATE_PROCESSES = 3,
  MOHHOS_CAP_ACCESS_AI_ENGINE = 4,
  MOHHOS_CAP_MODIFY_SYSTEM_CONFIG = 5,
  MOHHOS_CAP_CUSTOM = 32
};

enum { MOHHOS_LOG_ERROR = 0, MOHHOS_LOG_WARNING = 1, MOHHOS_LOG_INFO = 2, MOHHOS_LOG_DEBUG = 3 };

/* A channel that this plugin sends on. Valid as long as the process, also while its peer
 * restarts. 0 is none. */
typedef uint64_t mohhos_channel_t;

/* A shared memory: one that this plugin had made, or one that came with a message and was taken. A
 * number of this process; 0 is none. */
typedef uint64_t mohhos_memory_t;

enum {
  MOHHOS_MESSAGE_REDELIVERED = 1u, /* this process' predecessor died while it handled this very
                                      message: parts of the work may be done, or it was the cause */
  MOHHOS_MESSAGE_MEMORY = 2u       /* its sender says that a shared memory came with it:
                                      take_memory() has it, or says that it is not so */
};

/* A received message: a view. Owner: the host. Lives until the callback that got it returns.
 *
 * `data` points into the ring, read-only. THE SENDER CAN STILL CHANGE THESE BYTES WHILE YOU READ
 * THEM: they lie in its memory. Copy what you are going to parse or check, then use the copy;
 * reading each byte once is as good as a copy. All the other fields are the host's own and cannot
 * change. */
typedef struct mohhos_message {
  uint32_t struct_size;
  uint32_t flags; /* MOHHOS_MESSAGE_... */
  uint64_t id;    /* rises along a channel; 0 never */
  uint64_t
      sender; /* the sender's plugin id. The channel's, not the message's: it cannot be forged */
  uint64_t correlation;    /* of a request: give it to reply(). 0: nobody waits for an answer */
  uint64_t sent_at_ns;     /* as the sender says */
  uint64_t received_at_ns; /* when the host took it out of the ring; may be shared by a batch */
  uint64_t deadline_ns;    /* after that the answer interests nobody. 0: none */
  uint32_t type;           /* MOHHOS_MSG_... */
  int32_t priority;        /* MOHHOS_PRIORITY_... */
  uint32_t event;          /* of MOHHOS_MSG_EVENT_NOTIFY: the event type that was published */
  uint32_t generation;     /* counts the sender's processes: it rose, so the sender was restarted */
  uint64_t size;           /* of data, in bytes. Any, also 0 */
  const void* data;        /* aligned to 8; NULL when size is 0 */
  const char* sender_name; /* "" when it is not known */
} mohhos_message_t;

/* How to send. NULL, or all zero after struct_size: MOHHOS_MSG_INIT is no message for plugins, so
 * type 0 means the call's usual type. */
typedef struct mohhos_send_options {
  uint32_t struct_size;
  uint32_t type;        /* MOHHOS_MSG_...; 0: CUSTOM for send and commit, DATA_REQUEST for request,
                           EVENT_NOTIFY for publish */
  int32_t priority;     /* MOHHOS_PRIORITY_... */
  uint32_t flags;       /* MOHHOS_SEND_... */
  uint64_t deadline_ns; /* travels with the message; 0: none */
  uint64_t timeout_ns;  /* how long this call may wait for room in the ring */
  mohhos_memory_t memory; /* goes along, from make_memory(); 0: none. (struct_size up to timeout_ns
                             only is right, too.) */
} mohhos_send_options_t;

enum {
  MOHHOS_SEND_MORE = 1u,   /* more follows at once: the host may wake the peer later (at the latest
                              when the callback returns), and up to eight such messages may carry
                              one timestamp. Saves system calls when the peer sleeps */
  MOHHOS_SEND_DURABLE = 2u /* it is to be on disk before it is relied upon: sync() waits for that.
                              INVALID for an event that may be lost */
};

#define MOHHOS_FOREVER                                                                             \
  UINT64_MAX /* as a timeout: until it is possible. Mind max_execution_time_ms */

/* How a request ended. status >= 0: `reply` is the answer. status < 0: there is none, and the data
 * of `reply` is a sentence that says why (not NUL-terminated; sender may be 0):
 * MOHHOS_E_PLUGIN_FAILED (the peer answered no: the sentence is its own), MOHHOS_E_TIMED_OUT,
 * MOHHOS_E_CANCELLED (by cancel()), MOHHOS_E_PEER_GONE, MOHHOS_E_PEER_RESTARTED. Called exactly
 * once for each request() that returned >= 0 (unless the plugin is unloaded first), on the main
 * thread, as a callback of its own, never inside request(). Its result is judged like
 * on_message's. */
typedef int32_t (*mohhos_reply_fn)(void* user, int32_t status, const mohhos_message_t* reply);

/* A timer's end; see call_after. Its result is judged like on_message's. */
typedef int32_t (*mohhos_timer_fn)(void* user);

/* Whom to answer: taken from the request's message, kept as long as it takes. */
typedef struct mohhos_request {
  uint64_t sender;
  uint64_t correlation;
  uint64_t deadline_ns;
} mohhos_request_t;

/* What the host offers. Owner: the host; lives from create() to the return of destroy(). Every
 * function takes the table itself first. */
typedef struct mohhos_host mohhos_host_t;
struct mohhos_host {
  uint32_t struct_size;
  uint32_t abi_version;
  uint64_t plugin_id;      /* this plugin's own id; the same after a restart */
  uint32_t generation;     /* counts the processes of this plugin; 1 is the first */
  uint32_t plugin_type;    /* MOHHOS_TYPE_... */
  const char* plugin_name; /* of the manifest */
  void* host_data;         /* the host's */

  /* One line of log with this level. At most 1023 bytes arrive; what a full log does not take is
   * counted and said with the next line. Never blocks. (stdout and stderr are log lines too.) [any]
   */
  void (*log)(const mohhos_host_t* host, int32_t level, const char* text);

  /* Why the callback is about to return an error: the sentence that `plugctl info` shows. The last
   * one before the return counts. [any] */
  void (*fail)(const mohhos_host_t* host, const char* text);

  /* Ends this process at once, with this sentence as the plugin's last words. Does not return. For
   * what cannot be told by a callback's result: a broken invariant, an exception on a thread of the
   * plugin's own. [any] */
  void (*panic)(const mohhos_host_t* host, const char* text);

  /* The value of a configuration key (manifest's [config], replaced by the operator's), or NULL.
   * [main] */
  const char* (*config_get)(const mohhos_host_t* host, const char* key);

  /* 1: granted. 0: not granted. MOHHOS_E_INVALID: no such capability. [any] */
  int32_t (*check_capability)(const mohhos_host_t* host, uint32_t capability);

  /* Now. [any] */
  uint64_t (*now_ns)(const mohhos_host_t* host);

  /* Has on_work called soon, also from another thread: how a plugin's own thread hands something
   * over. Calls before the next on_work count as one. [any] */
  void (*wake)(const mohhos_host_t* host);

  /* Has on_work called after this time. One timer per plugin: a new call replaces the older one.
   * [main] */
  void (*wake_after)(const mohhos_host_t* host, uint64_t delay_ns);

  /* Opens the channel to a plugin, by id or (target_id 0) by name. Both manifests must allow it
   * (send_to here, receive_from there). Asks the manager and waits for its answer, so: once, in
   * on_start, and keep the handle. Opening the same peer again gives the same channel. ring_bytes
   * is a wish for how much unread messages may take (0: the host's usual): small keeps latency
   * under load low, large absorbs bursts. on_start and later. [main] DENIED, NOT_FOUND,
   * NOT_RUNNING, PEER_GONE (it ended just now), EXHAUSTED ([limits] max_file_descriptors),
   * TIMED_OUT, UNREACHABLE. */
  int32_t (*open_channel)(const mohhos_host_t* host, uint64_t target_id, const char* target_name,
                          uint64_t ring_bytes, uint64_t timeout_ns, mohhos_channel_t* channel);

  /* Copies `size` bytes into the ring and publishes them: then it is sent, and survives this
   * process. options may be NULL. [main] REFUSED (full, timeout 0), TIMED_OUT (full all the time),
   * TOO_LARGE, PEER_GONE, PEER_RESTARTED (once for each restart; the next call reaches the new
   * process). */
  int32_t (*send)(const mohhos_host_t* host, mohhos_channel_t channel,
                  const mohhos_send_options_t* options, const void* data, size_t size);

  /* Zero copy: lends `size` bytes of the ring to write into (aligned to 8, not zeroed); commit()
   * publishes them all. One loan per channel at a time: the next loan or send on it takes back what
   * was not committed, and a publish, broadcast or cancel does so on all channels; commit() is
   * BAD_STATE then. Cost does not depend on size. [main] Errors as send. */
  int32_t (*loan)(const mohhos_host_t* host, mohhos_channel_t channel,
                  const mohhos_send_options_t* options, size_t size, void** data);
  int32_t (*commit)(const mohhos_host_t* host, mohhos_channel_t channel);

  /* Sends and asks for an answer within timeout_ns, which `done` gets together with `user`.
   * options->deadline_ns is not used: the deadline is now + timeout_ns. Returns a number > 0 for
   * cancel(). [main] Errors as send; then `done` is not called. */
  int32_t (*request)(const mohhos_host_t* host, mohhos_channel_t channel,
                     const mohhos_send_options_t* options, const void* data, size_t size,
                     uint64_t timeout_ns, mohhos_reply_fn done, void* user);

  /* Answers a request, now or in a later callback, once. status MOHHOS_OK: these bytes are the
   * answer; any MOHHOS_E_...: they are a sentence that says why not. Waits up to timeout_ns for
   * room. [main] TIMED_OUT (also: the request's deadline has passed), PEER_GONE, PEER_RESTARTED:
   * nobody waits for this any more. Otherwise errors as send. */
  int32_t (*reply)(const mohhos_host_t* host, const mohhos_request_t* request, int32_t status,
                   const void* data, size_t size, uint64_t timeout_ns);

  /* Sends to every running plugin of a type that the ACLs let us reach. Returns how many were sent
   * to; one whose ring is full after timeout_ns is not counted. [main] */
  int32_t (*broadcast)(const mohhos_host_t* host, uint32_t plugin_type,
                       const mohhos_send_options_t* options, const void* data, size_t size);

  /* Sends to everybody who subscribed to this event type; otherwise as broadcast. Event types are
   * numbers that plugins agree on. What becomes of it when a subscriber's ring is full is in the
   * manifest's [events]. [main] DENIED: the manifest does not have this event. */
  int32_t (*publish)(const mohhos_host_t* host, uint32_t event,
                     const mohhos_send_options_t* options, const void* data, size_t size);

  /* Asks for these event types from one publisher, or (publisher 0) from all. Adds to earlier ones.
   * They arrive in on_message as MOHHOS_MSG_EVENT_NOTIFY. on_start and later. [main] TOO_LARGE:
   * more than 31 at once. NOT_FOUND: the manifest of no loaded plugin (of not that one) has one of
   * them, so load publishers first. */
  int32_t (*subscribe)(const mohhos_host_t* host, uint64_t publisher, const uint32_t* events,
                       size_t count);

  /* As request, and waits for the answer: no other message and no work meanwhile, they come
   * afterwards. On success *reply is the answer, a private copy that lives until the callback
   * returns or the next call(); on failure its data is the sentence that says why (as for
   * mohhos_reply_fn; empty when the request could not be sent). Counts against
   * max_execution_time_ms where the callback does. [main] INVALID (also: a channel to oneself),
   * TIMED_OUT, PLUGIN_FAILED, PEER_GONE, PEER_RESTARTED; otherwise errors as send. */
  int32_t (*call)(const mohhos_host_t* host, mohhos_channel_t channel,
                  const mohhos_send_options_t* options, const void* data, size_t size,
                  uint64_t timeout_ns, mohhos_message_t* reply);

  /* Has then(user) called once, delay_ns from now or later, as a callback of its own, while
   * RUNNING. Any number of them, apart from wake_after's. [main] EXHAUSTED: more than 65,536. */
  int32_t (*call_after)(const mohhos_host_t* host, uint64_t delay_ns, mohhos_timer_fn then,
                        void* user);

  /* Takes a request back, by the number that request() returned: its `done` gets
   * MOHHOS_E_CANCELLED, once, as a callback of its own, and the peer's on_cancel hears of it (if
   * there is room in its ring for that; it may have answered already). [main] NOT_FOUND: it has
   * ended. */
  int32_t (*cancel)(const mohhos_host_t* host, int32_t request);

  /* Waits until every message that this process sent with MOHHOS_SEND_DURABLE on this channel, or
   * (channel 0) on any, is on disk or was acknowledged: from then on it survives everything, also a
   * loss of power, until its receiver has handled it. One sync() for many messages costs what one
   * for one does: a write and an fdatasync. Needs durable = true under [channels] in the manifest.
   * [main] DENIED, EXHAUSTED (the disk is full, or the operator's limit reached: the messages are
   * sent all the same), FAILED (the disk), TIMED_OUT, PEER_GONE. */
  int32_t (*sync)(const mohhos_host_t* host, mohhos_channel_t channel, uint64_t timeout_ns);

  /* As sync, without waiting: messages and work go on, and `done` gets `user` and the outcome, as
   * for a request: status MOHHOS_OK (its `reply` is empty), or one of sync()'s errors with the
   * sentence in `reply`. It is about what was sent before this call. An error of the call itself
   * means that `done` is not called. [main] PEER_GONE: there is no such channel. */
  int32_t (*begin_sync)(const mohhos_host_t* host, mohhos_channel_t channel, uint64_t timeout_ns,
                        mohhos_reply_fn done, void* user);

  /* Has a shared memory of `size` bytes (1 to 1 GiB) made, all zeros, mapped writable at *data: for
   * what is to outlive a message, or to reach several receivers without a copy. Its pages count
   * against this plugin's memory limit when they are first written, until the last receiver has
   * dropped it. Owner: the plugin, until drop_memory() or the end of its process. Sent with a
   * message by options->memory, as often as one likes; that asks the manager (half a ms), and
   * ends with EXHAUSTED (the receiver has too many that it has not dropped), REFUSED (it does not
   * take any just now) or INVALID (durable, or an event that may be lost), besides the errors of
   * send(). FROM THE FIRST TIME ON, EVEN IF THAT FAILED, *data IS GONE: nobody can write the memory
   * any more, which is what its receivers rely on. Not before on_start. [main] INVALID, TOO_LARGE
   * (more than max_memory_mb), EXHAUSTED, TIMED_OUT, UNREACHABLE. */
  int32_t (*make_memory)(const mohhos_host_t* host, uint64_t size, uint64_t timeout_ns,
                         mohhos_memory_t* memory, void** data);

  /* Takes the memory that came with a message, inside the callback that got the message, or right
   * after the call() that filled it: `message` is that very pointer, not a copy of the struct. It
   * is mapped read-only; no other process can change its content any more. Owner: the plugin, until
   * drop_memory(); what is not taken ends with the callback. Taken twice it is the same number, and
   * one drop ends it. A message that is delivered again has its memory again. [main] NOT_FOUND:
   * nothing came with it, whatever its sender says. EXHAUSTED: there was no descriptor for it. */
  int32_t (*take_memory)(const mohhos_host_t* host, const mohhos_message_t* message,
                         mohhos_memory_t* memory, const void** data, uint64_t* size);

  /* Of either kind: its bytes must not be touched any more. Of one's own: what was sent still
   * reaches its receivers. [main] NOT_FOUND. */
  int32_t (*drop_memory)(const mohhos_host_t* host, mohhos_memory_t memory);

  /* reply() with status MOHHOS_OK and a memory that goes along. [main] */
  int32_t (*reply_memory)(const mohhos_host_t* host, const mohhos_request_t* request,
                          const void* data, size_t size, mohhos_memory_t memory,
                          uint64_t timeout_ns);
};

/* Values of on_peer. */
enum {
  MOHHOS_PEER_GONE = 1,
  MOHHOS_PEER_RESTARTED = 2,
  MOHHOS_PEER_BROKEN =
      3, /* it wrote nonsense into its ring; the channel is closed and the fact is recorded */
  MOHHOS_PEER_REVOKED = 4 /* the operator or the manager closed the channel */
};

/* The plugin. One constant with static lifetime. Callbacks may be NULL unless said otherwise. An
 * error from on_init or on_start (>= 0 is success everywhere) ends the operation with fail()'s
 * text; an error from any other callback ends the process: the plugin goes to ERROR with that text.
 */
typedef struct mohhos_plugin {
  uint32_t struct_size; /* sizeof(mohhos_plugin_t) */
  uint32_t abi_version; /* MOHHOS_ABI_VERSION */
  const char* name;     /* as in the manifest, or NULL: then it is not checked */

  /* Makes the plugin's state; whatever is returned is `self` in all that follows. Must not be NULL
   * in the table; returning NULL is a failure. No messages yet: only the [any] functions and
   * config_get. */
  void* (*create)(const mohhos_host_t* host);

  /* After create(), with the configuration complete: get everything that start needs (files,
   * tables, threads). The plugin is LOADED when it returns. */
  int32_t (*on_init)(void* self);

  /* LOADED → RUNNING. From here on messages arrive, and channels may be opened. Also after on_stop,
   * again. */
  int32_t (*on_start)(void* self);

  /* RUNNING → LOADED. No messages and no work afterwards, until on_start. */
  int32_t (*on_stop)(void* self);

  /* One message. What is sent with a correlation wants a reply(). Responses do not come here but to
   * their `done`. */
  int32_t (*on_message)(void* self, const mohhos_message_t* message);

  /* A slice of the plugin's own work, between messages, while RUNNING. Aim at less than a
   * millisecond. Return 1 to be called again at once (after the messages that wait), 0 to be left
   * alone until wake(), wake_after() or on_start. */
  int32_t (*on_work)(void* self);

  /* A configuration value changed while loaded. config_get already gives the new one. */
  int32_t (*on_config)(void* self, const char* key, const char* value);

  /* The other side of a channel (to or from it) changed: MOHHOS_PEER_... */
  int32_t (*on_peer)(void* self, uint64_t peer, uint32_t what);

  /* Frees what create() made. Last call; not made when the process is killed. */
  void (*destroy)(void* self);

  /* Who sent this request does not want the answer any more: whatever is still being done for it
   * may stop. Comes after the request's on_message; may be for one that was answered meanwhile. An
   * answer all the same reaches nobody. */
  int32_t (*on_cancel)(void* self, const mohhos_request_t* request);
} mohhos_plugin_t;

#if defined(__GNUC__)
#define MOHHOS_EXPORT __attribute__((visibility("default")))
#else
#define MOHHOS_EXPORT
#endif

/* The one symbol. Every plugin defines it; the host looks it up. */
extern MOHHOS_EXPORT const mohhos_plugin_t mohhos_plugin;

#ifdef __cplusplus
}
#endif

#endif
