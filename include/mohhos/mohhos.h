/* The C API of the MOHHOS plugin framework for programs that use plugins (link with -lmohhos, or
 * pkg-config mohhos). Plugins themselves include mohhos/abi.h or mohhos/sdk.hpp instead. */
#ifndef MOHHOS_MOHHOS_H
#define MOHHOS_MOHHOS_H

#include "mohhos/errors.h"
#include "mohhos/ipc.h"
#include "mohhos/plugin_manager.h"
#include "mohhos/registry.h"
#include "mohhos/security.h"
#include "mohhos/types.h"

#endif
