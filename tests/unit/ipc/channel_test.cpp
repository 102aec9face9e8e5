#include <algorithm>
#include <array>
#include <fcntl.h>
#include <fstream>
#include <functional>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "ipc/doorbell.hpp"
#include "ipc/waiter.hpp"
#include "ring_memory.hpp"
#include "sys/memfd.hpp"

namespace mohhos::ipc {
namespace {

using testing::Pair;

// Attaches a receiver after `spoil` has changed what it was handed.
Code attach_spoiled(std::uint64_t ring_bytes, const std::function<void(ChannelEnd&)>& spoil) {
  const Pair pair;
  auto end = make_receiver_end(pair.memory);
  if (!end) return end.error().code;
  spoil(*end);
  const auto attached = ReceivingChannel::attach(*std::move(end), ring_bytes);
  return attached ? Code{} : attached.error().code;
}

std::string first_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// A memfd of this size with these seals, in the place of a ring's memory.
sys::Fd forged(std::uint64_t size, int seals) {
  auto fd = sys::make_memfd("forged", 0600);
  EXPECT_EQ(::ftruncate(fd->get(), static_cast<off_t>(size)), 0);
  EXPECT_TRUE(seals == 0 || sys::add_seals(fd->get(), seals));
  return *std::move(fd);
}

TEST(Channel, RefusesSizesThatAreNoRings) {
  for (const std::uint64_t size :
       {std::uint64_t{0}, std::uint64_t{64}, std::uint64_t{5000}, kMaxRing * 2, UINT64_MAX})
    EXPECT_EQ(make_channel_memory(size).error().code, Code::Invalid);
}

// Leaves something else than zeros where the next function's variables will lie.
[[gnu::noinline]] void soil_the_stack() {
  std::array<volatile unsigned char, 16384> soil;
  for (volatile unsigned char& byte : soil) byte = 0xA5;
}

TEST(Channel, NewMemoryHoldsItsHeaderAndNothingOfItsMaker) {
  soil_the_stack();
  const auto memory = make_channel_memory(kMinRing);
  ASSERT_TRUE(memory);
  const auto behind_the_header = [](const sys::Fd& fd) {
    std::vector<unsigned char> bytes(kHeaderPage);
    EXPECT_EQ(::pread(fd.get(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
    return std::count_if(bytes.begin() + 16, bytes.end(), [](unsigned char b) { return b != 0; });
  };
  EXPECT_EQ(behind_the_header(memory->data), 0);
  EXPECT_EQ(behind_the_header(memory->control), 0);
}

TEST(Channel, NobodyCanResizeOrUnsealTheMemory) {
  const Pair pair;
  for (const int fd : {pair.memory.data.get(), pair.memory.control.get()}) {
    EXPECT_NE(::ftruncate(fd, 0), 0);
    EXPECT_NE(::ftruncate(fd, 1 << 20), 0);
    EXPECT_NE(::fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
    struct stat status{};
    ASSERT_EQ(::fstat(fd, &status), 0);
    EXPECT_EQ(status.st_mode & 07777U, 0400U);
  }
}

TEST(Channel, TheReceiverCannotWriteTheDataNorTheSenderTheControl) {
  const Pair pair;
  const auto sender = make_sender_end(pair.memory);
  const auto receiver = make_receiver_end(pair.memory);
  for (const int fd : {receiver->data.get(), sender->control.get()}) {
    EXPECT_EQ(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
    EXPECT_EQ(::pwrite(fd, "x", 1, 0), -1);
    EXPECT_NE(::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), 0);
    void* const seen = ::mmap(nullptr, 4096, PROT_READ, MAP_SHARED, fd, 0);
    ASSERT_NE(seen, MAP_FAILED);
    EXPECT_NE(::mprotect(seen, 4096, PROT_READ | PROT_WRITE), 0);
    EXPECT_NE(::madvise(seen, 4096, MADV_REMOVE), 0);
    ::munmap(seen, 4096);
  }
}

TEST(Channel, TakesWhatTheManagerMade) {
  EXPECT_EQ(attach_spoiled(4096, [](ChannelEnd&) {}), Code{});
}

TEST(Channel, RefusesMemoryThatIsNotSealedAgainstShrinkingAndGrowing) {
  for (const int seals : {0, F_SEAL_GROW, F_SEAL_SHRINK}) {
    EXPECT_EQ(attach_spoiled(
                  4096, [&](ChannelEnd& end) { end.data = forged(kHeaderPage + 4096, seals); }),
              Code::Untrusted);
    EXPECT_EQ(
        attach_spoiled(4096, [&](ChannelEnd& end) { end.control = forged(kHeaderPage, seals); }),
        Code::Untrusted);
  }
}

TEST(Channel, RefusesMemoryOfAnotherSizeThanAnnounced) {
  EXPECT_EQ(attach_spoiled(8192, [](ChannelEnd&) {}), Code::Untrusted);
  EXPECT_EQ(attach_spoiled(5000, [](ChannelEnd&) {}), Code::Invalid);
  EXPECT_EQ(attach_spoiled(4096, [](ChannelEnd& end) { end.data = forged(100, sys::kSealedSize); }),
            Code::Untrusted);
}

TEST(Channel, RefusesWhatIsNoMemoryAndWhatIsNoRing) {
  EXPECT_EQ(attach_spoiled(4096,
                           [](ChannelEnd& end) {
                             end.data = sys::Fd(::open("/dev/null", O_RDWR | O_CLOEXEC));
                           }),
            Code::Untrusted);
  EXPECT_EQ(
      attach_spoiled(
          4096, [](ChannelEnd& end) { end.data = forged(kHeaderPage + 4096, sys::kSealedSize); }),
      Code::Untrusted);
}

TEST(Channel, ASenderThatPunchesHolesHurtsOnlyItsOwnMessages) {
  Pair pair;
  for (int i = 0; i < 10; ++i) pair.send("soon gone");
  ASSERT_EQ(::fallocate(pair.memory.data.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                        static_cast<off_t>(kHeaderPage + 4096)),
            0);
  EXPECT_EQ(pair.take(), std::nullopt);
  EXPECT_EQ(pair.receiver->ring().breach(), Breach::None);
}

// Blocks, and fails by its deadline, if the stranger could fill the bell that we ring.
TEST(Channel, AStrangerCannotMakeTheOtherSidesRingBlock) {
  const Pair pair;
  const auto sends = make_sender_end(pair.memory, Holder::Stranger);
  const auto receives = make_receiver_end(pair.memory, Holder::Stranger);
  ASSERT_TRUE(sends && receives);
  for (const int waits : {sends->space_bell.get(), receives->data_bell.get()}) {
    const std::uint64_t most = UINT64_MAX - 1;
    EXPECT_EQ(::fcntl(waits, F_SETFL, 0), 0);
    EXPECT_LT(::write(waits, &most, sizeof most), 0);
    std::uint64_t count = 0;
    EXPECT_LT(::read(waits, &count, sizeof count), 0);
  }
  ring_doorbell(pair.memory.space_bell.get());
  ring_doorbell(pair.memory.data_bell.get());
}

TEST(Channel, AStrangerHearsEveryRingOfItsBell) {
  const Pair pair;
  const auto receives = make_receiver_end(pair.memory, Holder::Stranger);
  ASSERT_TRUE(receives);
  const auto no_link = make_doorbell();
  auto waiter = Waiter::open(no_link->get());
  ASSERT_TRUE(waiter && waiter->add_bell(receives->data_bell.get(), WakeKind::Data, 7));
  EXPECT_TRUE(waiter->wait(Monotonic{}).empty());
  for (int ring = 0; ring < 3; ++ring) {
    ring_doorbell(pair.memory.data_bell.get());
    const auto heard = waiter->wait(Monotonic{});
    ASSERT_EQ(heard.size(), 1U);
    EXPECT_EQ(heard[0].channel, 7U);
    EXPECT_TRUE(waiter->wait(Monotonic{}).empty()) << "heard once";
  }
}

// --- large rings ---

TEST(LargeRing, CarriesAMessageAsLargeAsItIsAcrossItsEnd) {
  constexpr std::uint64_t kRing = std::uint64_t{4} << 20;
  Pair pair(kRing, Loss::Never, true); // huge pages where there are some; the same bytes anyway
  const std::string large(largest_payload(kRing), 'l');
  for (const char last : {'a', 'b', 'c'}) {
    std::string text = large;
    text.back() = last;
    ASSERT_EQ(pair.send(text), RingSender::Outcome::Ok);
    EXPECT_EQ(pair.take(), text);
    pair.send("between"); // so that the next one does not begin where this one did
    EXPECT_EQ(pair.take(), "between");
  }
  EXPECT_EQ(pair.send(large + "!"), RingSender::Outcome::TooLarge);
}

TEST(LargeRing, OfAGigabyteTakesNoMoreMemoryThanItIsUsed) {
  Pair pair(kMaxRing);
  pair.send("small");
  EXPECT_EQ(pair.take(), "small");
  struct stat status{};
  ASSERT_EQ(::fstat(pair.memory.data.get(), &status), 0);
  EXPECT_EQ(status.st_size, static_cast<off_t>(kMaxRing + kHeaderPage));
  EXPECT_LE(status.st_blocks * 512, 3 * 4096);
  EXPECT_EQ(make_channel_memory(2 * kMaxRing).error().code, Code::Invalid);
}

TEST(LargeRing, LiesInHugePagesWhereTheSystemHasSome) {
  const std::string mode = first_line("/sys/kernel/mm/transparent_hugepage/shmem_enabled");
  if (mode.find("[never]") != std::string::npos || mode.find("[deny]") != std::string::npos ||
      mode.empty())
    GTEST_SKIP() << "this system gives no huge pages to shared memory: " << mode;
  Pair pair(std::uint64_t{8} << 20, Loss::Never, true);
  const std::string large(5'000'000, 'l');
  ASSERT_EQ(pair.send(large), RingSender::Outcome::Ok);
  std::ifstream maps("/proc/self/smaps");
  std::uint64_t huge_kib = 0;
  for (std::string line; std::getline(maps, line);)
    if (line.starts_with("ShmemPmdMapped:")) huge_kib += std::stoull(line.substr(15));
  EXPECT_GE(huge_kib, 2048U);
}

} // namespace
} // namespace mohhos::ipc
