#include "sandbox/syscalls.hpp"
