// A doorbell: an eventfd that one side rings and the other waits for. A hint, never a fact: whoever
// wakes looks at the ring.
//
// An eventfd has no direction, so a peer can drain it, fill it or ring it without end. Therefore:
// two of them for each channel and none shared between channels (who spoils one hurts itself);
// nobody ever reads one (a read could block if the peer cleared O_NONBLOCK, which belongs to the
// shared description): waiting is edge-triggered epoll, which reports every write anew.
#pragma once

#include "sys/fd.hpp"

namespace mohhos::ipc {

// Non-blocking, close-on-exec. [any]
[[nodiscard]] Result<sys::Fd> make_doorbell();
// Never blocks, never fails: a full counter means that the other side has been told. [any]
void ring_doorbell(int bell) noexcept;

} // namespace mohhos::ipc
