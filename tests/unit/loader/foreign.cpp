// A plugin of an ABI that does not exist yet.
#include "mohhos/abi.h"

extern "C" {
const mohhos_plugin_t mohhos_plugin = {sizeof(mohhos_plugin_t),
                                       MOHHOS_ABI_VERSION + 1,
                                       nullptr,
                                       nullptr,
                                       nullptr,
                                       nullptr,
                                       nullptr,
                                       nullptr,
                                       nullptr,
                                       nullptr,
                                       nullptr,
                                       nullptr};
}
