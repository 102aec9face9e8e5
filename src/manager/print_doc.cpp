// Prints docs/configuration.md.
#include <cstdio>

#include "manager/config.hpp"

int main() {
  return std::fputs(mohhos::manager::describe_config().c_str(), stdout) < 0 ? 1 : 0;
}
