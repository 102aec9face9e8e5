#include "sandbox/spawn.hpp"
