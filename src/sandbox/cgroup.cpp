#include "sandbox/cgroup.hpp"
