// A plugin as a C++20 class, over the C contract of mohhos/abi.h. Headers only.
//
//     #include <mohhos/sdk.hpp>
//     struct Echo : mohhos::Plugin {
//       void on_message(const mohhos::Message& message) override {
//         if (message.wants_reply()) reply(message, message.copy());
//       }
//     };
//     MOHHOS_PLUGIN(Echo)
//
// Throw to fail: an exception never leaves the plugin; its text becomes the error that `plugctl
// info` shows. Everything here is compiled into the plugin, so it may use another compiler or
// standard library than the host. Unless said otherwise a function is called on the main thread,
// inside a callback (abi.h: [main]).
#pragma once

#include "mohhos/sdk/channel.hpp"
#include "mohhos/sdk/exported.hpp"
#include "mohhos/sdk/failure.hpp"
#include "mohhos/sdk/memory.hpp"
#include "mohhos/sdk/message.hpp"
#include "mohhos/sdk/options.hpp"
#include "mohhos/sdk/payload.hpp"
#include "mohhos/sdk/plugin.hpp"
#include "mohhos/sdk/task.hpp"
