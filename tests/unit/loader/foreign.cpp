// A plugin of an ABI that does not exist yet.
#include "mohhos/abi.h"

extern "C" {
constexpr mohhos_plugin_t mohhos_plugin = [] {
  mohhos_plugin_t table{};
  table.struct_size = sizeof(mohhos_plugin_t);
  table.abi_version = MOHHOS_ABI_VERSION + 1;
  return table;
}();
}
