// Something limited, shared out by who asks for it.
#pragma once

#include <cstddef>
#include <unordered_map>
#include <utility>

#include "address.h"

namespace netloom::uplink {

/// Each source address may hold twice as much as is still free: one alone two thirds, each of two two fifths, each of n two parts in 2n + 1.
/// So a newcomer always finds room, whatever the others do, and nothing is set aside for those who ask for nothing. (Dynamic thresholds,
/// as Choudhury and Hahne, 1998, share the memory of a switch among its ports, with their alpha of 2.)
class SourceShares {
 public:
  explicit SourceShares(size_t capacity) : capacity_(capacity) {}

  /// What was taken, given back when it goes. False when it is nothing.
  class Share {
   public:
    Share() = default;
    Share(Share&& other) noexcept : shares_(std::exchange(other.shares_, nullptr)), source_(other.source_), amount_(other.amount_) {}
    Share& operator=(Share&& other) noexcept {
      std::swap(shares_, other.shares_);
      std::swap(source_, other.source_);
      std::swap(amount_, other.amount_);
      return *this;
    }
    ~Share() {
      if (shares_ != nullptr) shares_->give(source_, amount_);
    }
    explicit operator bool() const { return shares_ != nullptr; }

   private:
    friend class SourceShares;
    Share(SourceShares* shares, const Address& source, size_t amount) : shares_(shares), source_(source), amount_(amount) {}
    SourceShares* shares_ = nullptr;
    Address source_;
    size_t amount_ = 0;
  };

  /// Nothing when the source holds its share already.
  Share take(const Address& source, size_t amount = 1) {
    const auto found = held_.find(source);
    const size_t held = found == held_.end() ? 0 : found->second;
    if (used_ + amount > capacity_ || held + amount > kTimesFree * (capacity_ - used_ - amount)) return {};
    used_ += amount;
    held_[source] = held + amount;
    return Share(this, source, amount);
  }

 private:
  static constexpr size_t kTimesFree = 2;

  void give(const Address& source, size_t amount) {
    used_ -= amount;
    const auto found = held_.find(source);
    if ((found->second -= amount) == 0) held_.erase(found);
  }

  const size_t capacity_;
  size_t used_ = 0;
  std::unordered_map<Address, size_t, AddressHash> held_;
};

}  // namespace netloom::uplink
