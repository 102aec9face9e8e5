// What an operator wants to know, one line each, on standard error: systemd adds the time, else we
// do.
#pragma once

#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace mohhos::warden {

// Control characters become '?': no text of others may forge a line. [loop]
void say_line(std::string_view text);

template <class... Args>
void say(fmt::format_string<Args...> format, Args&&... args) {
  say_line(fmt::format(format, std::forward<Args>(args)...));
}

} // namespace mohhos::warden
