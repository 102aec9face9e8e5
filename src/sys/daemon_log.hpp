// What an operator wants to know of a small daemon, one line each, on standard error: systemd adds
// the time, else we do.
#pragma once

#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace mohhos::sys {

// "<time> <program>: <text>". Control characters become '?': no text of others may forge a line.
// [any]
void say_line(std::string_view text);

template <class... Args>
void say(fmt::format_string<Args...> format, Args&&... args) {
  say_line(fmt::format(format, std::forward<Args>(args)...));
}

} // namespace mohhos::sys
