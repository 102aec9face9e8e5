// gRPC's fastest shape: one open stream with messages in both directions (a call for each message
// costs several times as much), protobuf messages, over a Unix socket without TLS.
#include <chrono>
#include <condition_variable>
#include <mutex>

#include <grpcpp/grpcpp.h>

#include "payload.hpp"
#include "peers.hpp"
#include "ring_support.hpp"
#include "talk.grpc.pb.h"

namespace mohhos::bench {
namespace {

using Stream = grpc::internal::WriterInterface<Payload>;

// Hands the stream of the one call to the benchmark's own thread.
class Service final : public Talk::Service {
public:
  using ServerStream = grpc::ServerReaderWriter<Payload, Payload>;
  grpc::Status Both(grpc::ServerContext*, ServerStream* stream) override {
    std::unique_lock lock(mutex_);
    stream_ = stream;
    changed_.notify_all();
    changed_.wait(lock, [this] { return ended_; });
    return grpc::Status::OK;
  }
  ServerStream* wait() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(10), [this] { return stream_ != nullptr; });
    return stream_;
  }
  void end() {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    changed_.notify_all();
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  ServerStream* stream_ = nullptr;
  bool ended_ = false;
};

class Grpc {
public:
  explicit Grpc(std::size_t size)
      : address_("unix-abstract:" + unique_name("grpc")), source_(size) {}
  ~Grpc() {
    if (context_) context_->TryCancel();
    if (client_stream_) (void)client_stream_->Finish();
    if (!server_) return;
    service_.end();
    server_->Shutdown(std::chrono::system_clock::now()); // cancels what the client did not end
  }
  std::optional<std::string> open(Side side) { return side == Side::First ? call() : serve(); }
  void send() {
    message_.set_data(source_.bytes().data(), source_.size());
    require(writer_->Write(message_, grpc::WriteOptions()), "gRPC: Write");
  }
  void receive() {
    require(reader_->Read(&received_), "gRPC: Read");
    require(received_.data().size() == source_.size(), "a message of another size");
    sum_ += look_at_all(std::as_bytes(std::span(received_.data())));
  }

private:
  std::optional<std::string> call() {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 20);
    channel_ = grpc::CreateCustomChannel(address_, grpc::InsecureChannelCredentials(), arguments);
    if (!channel_->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(10)))
      return "no connection in 10 s";
    stub_ = Talk::NewStub(channel_);
    context_ = std::make_unique<grpc::ClientContext>();
    client_stream_ = stub_->Both(context_.get());
    reader_ = client_stream_.get();
    writer_ = client_stream_.get();
    // The call reaches the server with the first message at the latest.
    return {};
  }
  std::optional<std::string> serve() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address_, grpc::InsecureServerCredentials());
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    if (!server_) return "no server at " + address_;
    auto* const stream = service_.wait();
    if (stream == nullptr) return "no call in 10 s";
    reader_ = stream;
    writer_ = stream;
    return {};
  }

  std::string address_;
  Source source_;
  Payload message_;
  Payload received_;
  grpc::internal::ReaderInterface<Payload>* reader_ = nullptr;
  Stream* writer_ = nullptr;
  std::uint64_t sum_ = 0;
  // of the first process
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<Talk::Stub> stub_;
  std::unique_ptr<grpc::ClientContext> context_;
  std::unique_ptr<grpc::ClientReaderWriter<Payload, Payload>> client_stream_;
  // of the second
  Service service_;
  std::unique_ptr<grpc::Server> server_;
};

} // namespace

std::unique_ptr<Contestant> make_grpc(std::size_t size, Waiting) {
  return make<Grpc>(size);
}

} // namespace mohhos::bench
