/* The nouns of the MOHHOS plugin framework (specification US-004), in C11 and C++17.
 *
 * Names, enumerators, numbers and the order of fields are the specification's. Where it names a
 * type without defining it, the definition is ours and its comment says "(ours)". Every struct with
 * a char array holds a NUL-terminated UTF-8 text. */
#ifndef MOHHOS_TYPES_H
#define MOHHOS_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* (ours) A handle that the daemon never gives twice; 0 is nobody. */
typedef uint64_t plugin_id_t;
/* (ours) A process id as the daemon's pid namespace has it; 0: no process. */
typedef int32_t process_id_t;

typedef enum {
  PLUGIN_AI_MODEL = 0,
  PLUGIN_WEB_EXTENSION = 1,
  PLUGIN_P2P_PROTOCOL = 2,
  PLUGIN_PROMPT_PROCESSOR = 3,
  PLUGIN_SYSTEM_OPTIMIZER = 4,
  PLUGIN_DEVICE_DRIVER = 5,
  PLUGIN_CUSTOM = 6
} plugin_type_t;

typedef enum {
  PLUGIN_UNLOADED = 0,
  PLUGIN_LOADING = 1,
  PLUGIN_LOADED = 2,
  PLUGIN_RUNNING = 3,
  PLUGIN_SUSPENDED = 4,
  PLUGIN_ERROR = 5,
  PLUGIN_UNLOADING = 6
} plugin_state_t;

/* (ours) Where messages for a plugin go. A new generation is a new process of the same plugin. */
typedef struct {
  plugin_id_t id;
  uint32_t generation;
  uint32_t reserved;
} ipc_endpoint_t;

/* (ours) The version of the plugin ABI (mohhos/abi.h) that a plugin needs. */
typedef struct {
  uint16_t major;
  uint16_t minor;
} api_version_t;

typedef struct {
  char plugin_name[64];
  char min_version[16];
  char max_version[16];
  bool optional;
} dependency_t;

/* (ours) `items` belongs to whoever owns the struct around it. NULL when count is 0. An empty
 * min_version or max_version is no bound at that end. */
typedef struct {
  dependency_t* items;
  size_t count;
} dependency_list_t;

/* (ours) `items` and its texts belong to whoever owns the struct around it. NULL when count is 0.
 */
typedef struct {
  char** items;
  size_t count;
} string_list_t;

#ifdef __cplusplus
}
#endif

#endif
