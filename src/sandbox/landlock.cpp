#include "sandbox/enter.hpp"
