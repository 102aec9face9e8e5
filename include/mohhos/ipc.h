/* Messages of US-004 between a program and plugins.
 *
 * The program is an endpoint of its own, opened on first use ("application" in plugins' ACLs).
 * Messages move through shared memory that only their sender can write; the daemon decides who may
 * talk to whom, and no message passes through it.
 *
 * Threads and errors: as plugin_manager.h. A thread that waits in plugin_receive_message does not
 * hold up others that send. */
#ifndef MOHHOS_IPC_H
#define MOHHOS_IPC_H

#include "mohhos/errors.h"
#include "mohhos/export.h"
#include "mohhos/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* (ours) Unique among one sender's messages; 0: none. */
typedef uint64_t message_id_t;
/* (ours) A request under way, of this program; never given twice; 0: none. */
typedef uint64_t request_id_t;
/* (ours) A number that publishers and subscribers agree on. */
typedef uint32_t event_type_t;
/* (ours) Higher first, without starving the rest; 0, what an initializer leaves out, is the usual.
 */
typedef enum {
  PRIORITY_LOW = -1,
  PRIORITY_NORMAL = 0,
  PRIORITY_HIGH = 1,
  PRIORITY_URGENT = 2
} priority_t;

typedef enum {
  MSG_PLUGIN_INIT = 0,
  MSG_PLUGIN_SHUTDOWN = 1,
  MSG_PLUGIN_CONFIG_UPDATE = 2,
  MSG_PLUGIN_DATA_REQUEST = 3,
  MSG_PLUGIN_DATA_RESPONSE = 4,
  MSG_PLUGIN_EVENT_NOTIFY = 5,
  MSG_PLUGIN_AI_INFERENCE = 6,
  MSG_PLUGIN_CUSTOM = 7
} message_type_t;

/* (ours) plugin_message_t.flags; every other bit is 0. */
enum {
  PLUGIN_MESSAGE_MEMORY = 2u /* its sender says that a shared memory came with it:
                                plugin_take_memory (of an answer: plugin_wait_memory) has it, or
                                says that it is not so */
};

typedef struct {
  message_id_t id;
  plugin_id_t sender;
  plugin_id_t receiver;
  message_type_t type;
  uint32_t data_size;
  void* data;
  uint64_t timestamp;
  priority_t priority;
  uint32_t flags; /* (ours) written by plugin_receive_view and plugin_wait_memory, 0 by the others;
                     never read */
} plugin_message_t;

/* Sends a copy of data[0..data_size) without asking for an answer (plugin_call does); the caller
 * keeps `data`. Returns when the message is published in the receiver's ring: from then on it
 * survives the death of either side. Reads type, data_size, data and priority; on success fills id,
 * sender, receiver and timestamp (nanoseconds of CLOCK_MONOTONIC). Waits for room for at most a
 * second. Errors: INVALID (data NULL but data_size not 0, unknown type), NOT_FOUND, DENIED (the
 * plugin's receive_from does not name "application"), BAD_STATE (a loan to it is open), TOO_LARGE,
 * REFUSED or TIMED_OUT (full ring), PEER_GONE, UNREACHABLE. */
MOHHOS_API int plugin_send_message(plugin_id_t target, plugin_message_t* message);

/* The next message for this program; waits for timeout_ms (0: only looks). Overwrites *message
 * whole. message->data is a copy that the library allocated: the caller frees it with
 * plugin_message_free. Errors: TIMED_OUT, UNREACHABLE, EXHAUSTED (the message stays and can be
 * received again). */
MOHHOS_API int plugin_receive_message(plugin_message_t* message, uint32_t timeout_ms);

/* Frees message->data as plugin_receive_message allocated it and sets it to NULL; the struct is the
 * caller's. NULL is allowed. Never for a message whose data is the caller's own. */
MOHHOS_API void plugin_message_free(plugin_message_t* message);

/* (ours) plugin_send_message for what is to be on disk before it is relied upon; plugin_sync waits
 * for that. Errors: as plugin_send_message. */
MOHHOS_API int plugin_send_durable(plugin_id_t target, plugin_message_t* message);

/* (ours) Waits until everything that this program sent to `target` with plugin_send_durable before
 * is on disk, or was acknowledged: from then on it survives everything, also a loss of power, until
 * the plugin has handled it. One sync for many messages costs what one for one does. A disk that
 * hangs is waited for until timeout_ms is over; other threads go on meanwhile. Errors: EXHAUSTED
 * (the disk is full, or the operator's limit reached: the messages are sent all the same), DENIED
 * (switched off), TIMED_OUT, NOT_FOUND (there is no such plugin), PEER_GONE, UNREACHABLE (the
 * connection to the daemon ended, now or since the last sync, before all was on disk: what was sent
 * since then may have to be sent again; told once). */
MOHHOS_API int plugin_sync(plugin_id_t target, uint32_t timeout_ms);

/* (ours) plugin_send_message without the copy: lends message->data_size bytes of the target's ring
 * as message->data, aligned to 8 and not zeroed, for the program to write; plugin_commit_message
 * sends them, plugin_discard_message gives them back. What this costs does not depend on the size,
 * which may be up to the ring's. Reads type, data_size and priority; sets data and receiver. One
 * loan for each target at a time: until it ended, everything else to that target (and a broadcast)
 * is BAD_STATE. Errors: as plugin_send_message. */
MOHHOS_API int plugin_loan_message(plugin_id_t target, plugin_message_t* message);

/* (ours) Sends what was lent, all data_size bytes of it, and sets data to NULL; on success fills
 * id, sender and timestamp. Errors: NOT_FOUND (no such loan: committed or given back already),
 * PEER_GONE (the channel ended meanwhile; nothing was sent). */
MOHHOS_API int plugin_commit_message(plugin_message_t* message);

/* (ours) Gives a loan back, nothing is sent; sets data to NULL. Errors: NOT_FOUND. */
MOHHOS_API int plugin_discard_message(plugin_message_t* message);

/* (ours) plugin_receive_message without the copy: message->data lies in the ring, read-only
 * (writing to it is a fault), until plugin_release_view. When a memory is said to have come with it
 * (PLUGIN_MESSAGE_MEMORY) data is not NULL, even if data_size is 0, and the message has to be
 * released in any case. THE SENDER CAN STILL CHANGE THESE BYTES: copy what you parse or check.
 * Messages may be released in any order, but their room in the ring comes back in the order of
 * their receipt, so a sender waits when they are held for long; at most 4,096 at once. Errors: as
 * plugin_receive_message. */
MOHHOS_API int plugin_receive_view(plugin_message_t* message, uint32_t timeout_ms);

/* (ours) The program is done with it; sets data to NULL, and the bytes must not be read any more:
 * later messages take their place. Errors: NOT_FOUND (released already). */
MOHHOS_API int plugin_release_view(plugin_message_t* message);

/* (ours) A shared memory that rides along messages: for what is to outlive its message, or to reach
 * several plugins without a copy. Two kinds: one that the program had made, and one that came with
 * a message. Owner: the program, until plugin_drop_memory; also when the message is released, the
 * plugin ends, or mohhos_disconnect was called. The struct may be copied; what counts is its id.
 * Any thread, but nobody may touch `data` while another thread sends or drops the memory. */
typedef struct {
  uint64_t id; /* a number of this program, never given twice; 0: none */
  /* Of one's own: writable, NULL once it was sent. Else read-only: writing to it is a fault. */
  void* data;
  uint64_t size; /* bytes */
} plugin_memory_t;

/* (ours) A new one of `size` bytes, all zeros; overwrites *memory whole. At most 64, and 256 MiB
 * together, that are not dropped. Its pages count as the program's own. Waits for the daemon for at
 * most five seconds. Errors: INVALID (size 0), TOO_LARGE (never possible), EXHAUSTED (drop one
 * first, or no descriptor is free), TIMED_OUT, UNREACHABLE. */
MOHHOS_API int plugin_make_memory(plugin_memory_t* memory, uint64_t size);

/* (ours) plugin_send_message with a memory that this program had made; as often as one likes, to
 * any plugins. FROM THE FIRST TIME ON, EVEN IF THAT FAILED, ITS BYTES ARE GONE HERE (memory->data
 * is NULL): nobody can write them any more, which is what the receivers rely on. They keep it when
 * the program drops it or ends. Asks the daemon, half a millisecond. Errors: as
 * plugin_send_message, and NOT_FOUND (no such memory, one that came with a message, or one of a
 * connection that is closed; its bytes stay), BAD_STATE (the program has it mapped for writing
 * elsewhere, as in a child), EXHAUSTED (the plugin has not dropped 16 memories or 1 GiB from this
 * program, or 64 or 2 GiB in all), REFUSED (it does not take any just now). */
MOHHOS_API int plugin_send_memory(plugin_id_t target, plugin_message_t* message,
                                  plugin_memory_t* memory);

/* (ours) Takes the memory that came with a message of plugin_receive_view that is not released yet;
 * overwrites *memory whole. No other process can change its content any more, so it can be parsed
 * in place. The same again while it is not dropped: one drop ends it. What is not taken ends when
 * the message is released. What came with an answer is plugin_wait_memory's; with a message of
 * plugin_receive_message, or an answer of plugin_call or plugin_wait_response, it is gone. Errors:
 * NOT_FOUND (nothing came with it, whatever its sender says; or it is no
 * message that is held), EXHAUSTED (no descriptor was free for it). */
MOHHOS_API int plugin_take_memory(const plugin_message_t* message, plugin_memory_t* memory);

/* (ours) The program is done with a memory of either kind; sets data to NULL, and the bytes must
 * not be touched any more. What was sent still reaches its receivers. Errors: NOT_FOUND (dropped
 * already). */
MOHHOS_API int plugin_drop_memory(plugin_memory_t* memory);

/* (ours) Sends a request and waits for its answer: type, data and priority of *request are read,
 * type 0 means MSG_PLUGIN_DATA_REQUEST. *response is overwritten whole; its data is a copy that the
 * caller frees with plugin_message_free. Messages that arrive meanwhile wait for
 * plugin_receive_message. Other threads' calls of this header wait until the answer is there, as
 * long as timeout_ms at the most: a program with several threads that talk to plugins asks with
 * plugin_request and plugin_wait_response, which hold up nobody. Errors: as plugin_send_message,
 * and TIMED_OUT (no answer), PEER_GONE, PEER_RESTARTED (the one that was asked is not there any
 * more), PLUGIN_FAILED (it answered 'no': plugin_last_error() has its words). */
MOHHOS_API int plugin_call(plugin_id_t target, const plugin_message_t* request,
                           plugin_message_t* response, uint32_t timeout_ms);

/* (ours) plugin_call in two halves, so that it can be taken back: sends the request, and returns
 * when it is published in the plugin's ring. *id: for plugin_wait_response and
 * plugin_cancel_request; one of them must follow, or what comes is kept until mohhos_disconnect. It
 * ends by itself timeout_ms from now. At most 4,096 at once. Any number of threads may ask at the
 * same time. Errors: as plugin_send_message; EXHAUSTED (too many are open). */
MOHHOS_API int plugin_request(plugin_id_t target, const plugin_message_t* request,
                              uint32_t timeout_ms, request_id_t* id);

/* (ours) Waits for the end of a request of this program for timeout_ms (0: only looks), without
 * holding up other threads; messages that arrive meanwhile wait for plugin_receive_message. 0: it
 * was answered, *response is overwritten whole and its data is a copy that the caller frees with
 * plugin_message_free. 1: not yet; *response is untouched, and the request goes on. Any other
 * result is its end, and `id` is not known any more. Errors: as plugin_call; CANCELLED (another
 * thread took it back), NOT_FOUND (there is no such request, or its end was told), BAD_STATE
 * (another thread waits for it), UNREACHABLE (disconnected), EXHAUSTED (no memory for the
 * answer). */
MOHHOS_API int plugin_wait_response(request_id_t id, plugin_message_t* response,
                                    uint32_t timeout_ms);

/* (ours) plugin_request with a memory that this program had made, which goes along as with
 * plugin_send_memory: FROM THE FIRST TIME ON, EVEN IF THAT FAILED, ITS BYTES ARE GONE HERE. Errors:
 * as plugin_request and plugin_send_memory. */
MOHHOS_API int plugin_request_memory(plugin_id_t target, const plugin_message_t* request,
                                     plugin_memory_t* memory, uint32_t timeout_ms,
                                     request_id_t* id);

/* (ours) plugin_wait_response that has the memory that came with the answer, too: owner and content
 * as of plugin_take_memory. When the result is 0, *memory is overwritten whole; its id is 0 if
 * nothing came. Then PLUGIN_MESSAGE_MEMORY in response->flags says that the plugin says otherwise:
 * it is not so, or no descriptor was free for it. Errors: as plugin_wait_response. */
MOHHOS_API int plugin_wait_memory(request_id_t id, plugin_message_t* response,
                                  plugin_memory_t* memory, uint32_t timeout_ms);

/* (ours) Takes a request back. The plugin hears of it (on_cancel) if there is room in its ring for
 * that; it may have answered already, and it may go on working. A thread that waits for the answer
 * gets CANCELLED; nobody else hears of it, and `id` is not known any more. Any thread. Errors:
 * NOT_FOUND (there is no such request, or it has ended: an answer that nobody has waited for is
 * dropped), BAD_STATE (a loan to that plugin is open; the request goes on). */
MOHHOS_API int plugin_cancel_request(request_id_t id);

/* A copy to every plugin of that type that runs and whose ACL allows it. Returns how many got it,
 * or a negative error. The caller keeps `data`; message->receiver is 0 afterwards. Errors: INVALID
 * (data NULL but data_size not 0, unknown type), BAD_STATE (a loan is open), UNREACHABLE. */
MOHHOS_API int plugin_broadcast_message(plugin_message_t* message, plugin_type_t target_type);

/* From now on this program receives the MSG_PLUGIN_EVENT_NOTIFY messages that plugin_id publishes
 * under these numbers; plugin_id 0: whoever publishes. At most 31 at once. `events` is read before
 * the call returns. Errors: INVALID (none, or more than 31), NOT_FOUND (no such plugin, or nobody
 * declares one of the events), TIMED_OUT, UNREACHABLE. */
MOHHOS_API int plugin_subscribe_events(plugin_id_t plugin_id, event_type_t* events, size_t count);

#ifdef __cplusplus
}
#endif

#endif
