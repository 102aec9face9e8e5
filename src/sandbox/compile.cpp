#include "sandbox/compile.hpp"
