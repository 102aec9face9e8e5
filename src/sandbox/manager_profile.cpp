#include "sandbox/filter.hpp"
