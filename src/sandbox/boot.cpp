#include "sandbox/boot.hpp"
