// Prints docs/lifecycle.md.
#include <cstdio>

#include "lifecycle/transitions.hpp"

int main() {
  return std::fputs(mohhos::lifecycle::describe().c_str(), stdout) < 0 ? 1 : 0;
}
