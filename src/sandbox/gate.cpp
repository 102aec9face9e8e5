#include "sandbox/gate.hpp"
