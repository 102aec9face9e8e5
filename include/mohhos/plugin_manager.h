/* The plugin manager of US-004, for programs: load, start, stop and look at plugins that the daemon
 * runs.
 *
 * Connection: made on first use to the socket that mohhos_connect() named, else $MOHHOS_SOCKET,
 * else the user's own daemon, else /run/mohhos/control.sock; kept for the life of the process. A
 * daemon that went away is connected again by the next call.
 *
 * Threads: every function may be called from any thread at any time (calls on the one connection
 * take turns). After fork() only the parent goes on using the library.
 *
 * Errors: 0, or a negative plugin_error_t; plugin_last_error() has the sentence. On an error the
 * out-parameters are untouched, unless said otherwise.
 *
 * Times: load_time and last_activity are microseconds since 1970. */
#ifndef MOHHOS_PLUGIN_MANAGER_H
#define MOHHOS_PLUGIN_MANAGER_H

#include "mohhos/errors.h"
#include "mohhos/export.h"
#include "mohhos/registry.h"
#include "mohhos/security.h"
#include "mohhos/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A picture of the plugin at the moment of the call; it does not change afterwards. It owns the
 * lists inside (ACL, dependencies): free it with plugin_descriptor_free or plugin_list_free, never
 * with free(). */
typedef struct {
  plugin_id_t id;
  char name[64];
  char version[16];
  plugin_type_t type;
  plugin_state_t state;
  process_id_t process_id;
  security_context_t security_context;
  resource_limits_t limits;
  ipc_endpoint_t ipc_endpoint;
  plugin_metadata_t metadata;
  uint64_t load_time;
  uint64_t last_activity;
} plugin_descriptor_t;

/* (ours) What changes while a plugin lives, without anything to free. Texts that are too long are
 * cut. */
typedef struct {
  plugin_id_t id;
  char name[64];
  char version[16];
  plugin_type_t type;
  plugin_state_t state;
  process_id_t process_id;
  uint32_t generation; /* counts the processes that this plugin has had */
  trust_level_t trust_level;
  char signer[32];               /* key id */
  char sandbox_level[8];         /* "none", "L1", "L2", "L3" */
  capability_set_t capabilities; /* granted */
  resource_limits_t limits;      /* in force */
  uint64_t load_us;              /* from the request to LOADED */
  uint64_t start_us;             /* from the request to RUNNING */
  uint64_t memory_bytes;
  double cpu_percent; /* of one CPU, since the last sample */
  uint64_t refusals;  /* calls that the sandbox refused */
  uint64_t load_time;
  uint64_t last_activity;
  char cause[512]; /* of the last error; empty: none */
} plugin_info_t;

/* Uses this socket from now on, and connects at once. NULL: the default one. A connection that is
 * open is closed first, and the program's messaging endpoint with it. Errors: UNREACHABLE, DENIED.
 */
MOHHOS_API int mohhos_connect(const char* socket_path);
/* Closes the connection and the messaging endpoint; without a connection nothing happens. Threads
 * that wait for a message or an answer get UNREACHABLE. */
MOHHOS_API void mohhos_disconnect(void);

/* Loads the file at plugin_path, which this program must be able to read, with the signature beside
 * it (plugin_path + ".minisig"). Returns when the plugin is LOADED: verified, confined, its on_init
 * done. *plugin: owned by the caller, plugin_descriptor_free. Errors: NOT_FOUND, TOO_LARGE,
 * UNTRUSTED, CONSENT_NEEDED, DEPENDENCY, INCOMPATIBLE, NO_SANDBOX, EXISTS, PLUGIN_FAILED,
 * EXHAUSTED, DENIED, UNREACHABLE. */
MOHHOS_API int plugin_load(const char* plugin_path, plugin_descriptor_t** plugin);

/* Ends the plugin's process and forgets the plugin. Returns when nothing of it is left. Errors:
 * NOT_FOUND, BAD_STATE (RUNNING or SUSPENDED: stop it first), DEPENDENCY (others need it), DENIED,
 * UNREACHABLE. */
MOHHOS_API int plugin_unload(plugin_id_t plugin_id);

/* LOADED → RUNNING, after on_start. Errors: NOT_FOUND, BAD_STATE, PLUGIN_FAILED, DENIED,
 * UNREACHABLE. */
MOHHOS_API int plugin_start(plugin_id_t plugin_id);
/* RUNNING → LOADED, after on_stop. Errors as plugin_start, and NOT_RUNNING; BAD_STATE: it is
 * SUSPENDED, resume it first. */
MOHHOS_API int plugin_stop(plugin_id_t plugin_id);
/* RUNNING → SUSPENDED: frozen by the kernel. Errors as plugin_stop. */
MOHHOS_API int plugin_suspend(plugin_id_t plugin_id);
/* SUSPENDED → RUNNING. Errors as plugin_start. */
MOHHOS_API int plugin_resume(plugin_id_t plugin_id);

/* Fills *info, which is the caller's; nothing to free. Errors: NOT_FOUND, UNREACHABLE. */
MOHHOS_API int plugin_get_info(plugin_id_t plugin_id, plugin_info_t* info);

/* Everything that the daemon knows, plugins in ERROR included. *plugins: an array of *count, owned
 * by the caller, plugin_list_free; NULL when *count is 0. Errors: EXHAUSTED, UNREACHABLE. */
MOHHOS_API int plugin_list_loaded(plugin_descriptor_t** plugins, size_t* count);

/* Frees what plugin_load gave. NULL is allowed. The plugin itself lives on. */
MOHHOS_API void plugin_descriptor_free(plugin_descriptor_t* plugin);
/* Frees what plugin_list_loaded gave. NULL is allowed. */
MOHHOS_API void plugin_list_free(plugin_descriptor_t* plugins, size_t count);

#ifdef __cplusplus
}
#endif

#endif
