#include "sandbox/probe.hpp"
