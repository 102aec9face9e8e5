/* Registry types of US-004: what a plugin says of itself. */
#ifndef MOHHOS_REGISTRY_H
#define MOHHOS_REGISTRY_H

#include "mohhos/security.h"
#include "mohhos/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* (ours) The machine that a plugin was built for. Empty texts: any. */
typedef struct {
  char os[16];
  char machine[16];
  char min_kernel[16];
} platform_requirements_t;

/* (ours) What the manifest asks for and the weakest sandbox that it accepts ("L1", "L2", "L3").
 * What it got is in security_context_t. */
typedef struct {
  capability_set_t capabilities;
  char min_sandbox_level[8];
} security_requirements_t;

typedef struct {
  char name[64];
  char description[256];
  char author[64];
  char version[16];
  plugin_type_t type;
  dependency_list_t dependencies;
  api_version_t required_api_version;
  platform_requirements_t platform_req;
  security_requirements_t security_req;
} plugin_metadata_t;

#ifdef __cplusplus
}
#endif

#endif
