/* Security types of US-004: what a plugin asks for, what it was given, who signed it.
 *
 * The security_* functions that a caller needs are here too; sandboxes are made by the daemon when
 * a plugin is loaded, and by nobody else. */
#ifndef MOHHOS_SECURITY_H
#define MOHHOS_SECURITY_H

#include "mohhos/export.h"
#include "mohhos/types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
  bool can_access_filesystem;
  bool can_access_network;
  bool can_access_hardware;
  bool can_create_processes;
  bool can_access_ai_engine;
  bool can_modify_system_config;
  uint32_t custom_capabilities;
} capability_set_t;

typedef struct {
  size_t max_memory_mb;
  uint32_t max_cpu_percent;
  uint32_t max_file_descriptors;
  uint32_t max_network_connections;
  uint64_t max_execution_time_ms;
} resource_limits_t;

/* (ours) What the capabilities apply to, as granted: paths are final, peers are names,
 * "type:<type>", "application" or "*". */
typedef struct {
  string_list_t read;
  string_list_t write;
  string_list_t devices;
  string_list_t connect;
  string_list_t send_to;
  string_list_t receive_from;
} access_control_list_t;

/* (ours) The key that signed the plugin, as minisign prints key ids, and the SHA-256 of the signed
 * bytes in hexadecimal. A plugin that is loaded was verified, always. */
typedef struct {
  bool verified;
  char key_id[32];
  char sha256[65];
} signature_info_t;

/* (ours) How far the operator trusts the signing key (trust.toml): a ceiling for what its plugins
 * may get. */
typedef enum {
  TRUST_NONE = 0,
  TRUST_COMMUNITY = 1,
  TRUST_VERIFIED = 2,
  TRUST_SYSTEM = 3
} trust_level_t;

typedef struct {
  capability_set_t capabilities;
  resource_limits_t limits;
  access_control_list_t acl;
  signature_info_t signature;
  trust_level_t trust_level;
} security_context_t;

/* (ours) One capability: the fields of capability_set_t in their order; CAPABILITY_CUSTOM + n is
 * bit n (0 to 31) of custom_capabilities. */
typedef enum {
  CAPABILITY_ACCESS_FILESYSTEM = 0,
  CAPABILITY_ACCESS_NETWORK = 1,
  CAPABILITY_ACCESS_HARDWARE = 2,
  CAPABILITY_CREATE_PROCESSES = 3,
  CAPABILITY_ACCESS_AI_ENGINE = 4,
  CAPABILITY_MODIFY_SYSTEM_CONFIG = 5,
  CAPABILITY_CUSTOM = 32
} capability_t;

/* Whether the plugin was granted the capability: 1 yes, 0 no. Errors: NOT_FOUND, INVALID (the
 * number is no capability), UNREACHABLE. Any thread. */
MOHHOS_API int security_check_capability(plugin_id_t plugin_id, capability_t capability);

#ifdef __cplusplus
}
#endif

#endif
